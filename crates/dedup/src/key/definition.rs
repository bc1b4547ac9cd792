//! What keys of a scope are made of, as one number: it stands in the ledger's records.

/// In place of a number of fields: the key is the whole body, whatever its spelling.
pub const FIELDS_OF_BODY: u32 = 0xffff_ff01;
/// In place of a number of fields: the key is the whole body, byte for byte.
pub const FIELDS_OF_RAW_BODY: u32 = 0xffff_ff02;
/// In place of a number of fields: the key is the id that the broker gave the event.
pub const FIELDS_OF_BROKER_ID: u32 = 0xffff_ff03;

/// A scope's definition in words: `fields` is a number of fields, or one of the above. Two scopes
/// with the same words make the same keys of the same values.
#[must_use]
pub fn definition(fields: u32, across_types: bool) -> String {
    let made_of = match fields {
        FIELDS_OF_BODY => "the whole body".into(),
        FIELDS_OF_RAW_BODY => "the raw body".into(),
        FIELDS_OF_BROKER_ID => "the broker's id".into(),
        1 => "1 field".into(),
        fields => format!("{fields} fields"),
    };
    if across_types { format!("{made_of} across types") } else { format!("{made_of} and the type") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_frozen() {
        // They stand in lakes and exports, too.
        for (fields, across_types, words) in [
            (1, false, "1 field and the type"),
            (16, true, "16 fields across types"),
            (FIELDS_OF_BODY, false, "the whole body and the type"),
            (FIELDS_OF_RAW_BODY, true, "the raw body across types"),
            (FIELDS_OF_BROKER_ID, false, "the broker's id and the type"),
        ] {
            assert_eq!(definition(fields, across_types), words);
        }
    }
}
