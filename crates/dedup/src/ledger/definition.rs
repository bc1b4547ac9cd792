//! A scope's definition in words, as lakes and exports hold it.

use crate::key::{FIELDS_OF_BODY, FIELDS_OF_BROKER_ID, FIELDS_OF_RAW_BODY, definition};

/// Of the encoding of the keys that the scope's definition names.
const KEY_ENCODING: u32 = 1;

/// Number of fields, `across_types` and encoding, as text.
#[must_use]
pub fn definition_text(fields: u32, across_types: bool) -> String {
    format!("{}, encoding {KEY_ENCODING}", definition(fields, across_types))
}

/// Number of fields and `across_types` out of such a text; `None` if this program can't make keys
/// like that.
#[must_use]
pub fn parse_definition(text: &str) -> Option<(u32, bool)> {
    let counted = text.split(' ').next().and_then(|word| word.parse().ok());
    let whole = [FIELDS_OF_BODY, FIELDS_OF_RAW_BODY, FIELDS_OF_BROKER_ID];
    let made = whole.into_iter().chain(counted);
    let mut known = made.flat_map(|fields| [(fields, false), (fields, true)]);
    known.find(|(fields, across_types)| definition_text(*fields, *across_types) == text)
}

#[cfg(test)]
mod tests {
    use super::{FIELDS_OF_BODY, definition_text, parse_definition};

    #[test]
    fn a_definition_is_read_back() {
        for made in [(1, false), (1, true), (3, false), (16, true), (FIELDS_OF_BODY, false)] {
            assert_eq!(parse_definition(&definition_text(made.0, made.1)), Some(made));
        }
        assert_eq!(parse_definition("1 field and the type, encoding 2"), None);
        assert_eq!(parse_definition(""), None);
    }
}
