//! What the ledger knows of an open dead letter.

/// An open dead letter: one that was neither replayed nor purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// When its event was received; ms since the Unix epoch.
    pub received_ms: i64,
    /// The recorded time that the dedup clock gave it; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// Its key, kept as long as the letter is open. `None`: it has none.
    pub key: Option<LetterKey>,
    /// The fingerprint of the config under which it dies again; `None`: of something transient.
    pub deterministic_under: Option<u64>,
    /// The sinks that hold it: indices into [`super::PipeState::sinks`], ascending.
    pub sinks: Vec<u16>,
    /// A copy of it was delivered meanwhile: a replay ends as duplicate.
    pub superseded: bool,
}

/// The key of a dead event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterKey {
    /// Its scope (index into [`super::LedgerState::scopes`]).
    pub scope: u16,
    /// The key.
    pub key: u128,
    /// How far it reaches; ms, `i64::MAX` without end. It doesn't end the letter.
    pub window_ms: i64,
    /// Hash of the event's body.
    pub body_hash: u64,
}

/// What a record says of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LetterOp {
    /// It is open from now on.
    Add { id: u128, letter: Letter },
    /// It was replayed or purged.
    Remove { id: u128 },
    /// A copy of its event was delivered; it may be a letter of another pipe.
    Superseded { pipe: u16, id: u128 },
}
