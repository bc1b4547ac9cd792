//! Definitions that a scope's keys had before `run --new-key` changed them.

use std::collections::BTreeMap;

/// Definitions before the present one that are looked up at most.
pub const PREVIOUS_DEFINITIONS_MAX: usize = 4;

/// A definition that a scope's keys had before. Its keys are looked up until the last of them has
/// ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousDefinition {
    /// Number of key fields.
    pub fields: u32,
    /// Whether its keys left out the envelope's type.
    pub across_types: bool,
    /// When the last of its keys ends; ms since the Unix epoch, `i64::MAX` for never.
    pub until_ms: i64,
    /// Its key's paths by pipe (index into [`super::LedgerState::pipes`]), as in the config.
    pub paths: BTreeMap<u16, Vec<String>>,
}

impl PreviousDefinition {
    /// Whether none of its keys is remembered any more, by what a scope has forgotten.
    #[must_use]
    pub const fn is_over(&self, forgotten_through_ms: i64) -> bool {
        self.until_ms != i64::MAX && self.until_ms <= forgotten_through_ms
    }
}
