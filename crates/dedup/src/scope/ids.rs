//! The ledger's own numbering of pipes and sources.

/// A pipe, as the ledger numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipeId(pub u16);

/// A source, as the ledger numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u16);

/// Who holds keys that were imported and are in no key run yet: no pipe, since a ledger has at most
/// 65,535 of them.
pub(crate) const IMPORTED: PipeId = PipeId(u16::MAX);
