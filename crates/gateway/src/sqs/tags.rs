//! Tags of a queue: at most 50, keys of 1 to 128 characters, values of at most 256.

use std::collections::BTreeMap;

use super::error::SqsError;
use crate::wire::Text;

const TAGS_MAX: usize = 50;

/// Puts `given` over `tags`.
pub(super) fn add(
    tags: &mut BTreeMap<String, String>,
    given: BTreeMap<Text<'_>, Text<'_>>,
) -> Result<(), SqsError> {
    for (key, value) in given {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(SqsError::invalid("Tags", &*key, "Tag keys must have 1 to 128 characters"));
        }
        if value.chars().count() > 256 {
            let reason = "Tag values must have at most 256 characters";
            return Err(SqsError::invalid("Tags", &*value, reason));
        }
        tags.insert(key.into_string(), value.into_string());
    }
    if tags.len() > TAGS_MAX {
        return Err(SqsError::invalid("Tags", tags.len(), "A queue has at most 50 tags"));
    }
    Ok(())
}
