//! The syncs of the journal. Each is needed: the crash sweep takes away one after the other, and
//! finds what is lost then.

use crate::disk::SyncPoint;

/// The folder that holds the journal's folder, before anything is appended to a new journal.
pub(super) const OPEN: SyncPoint = SyncPoint("journal.open");
/// The end of the last segment, before what an earlier process may have left unsynced is trusted.
pub(super) const RECOVER: SyncPoint = SyncPoint("journal.recover");
/// A new segment, before it gets its name.
pub(super) const SEGMENT: SyncPoint = SyncPoint("journal.segment");
/// The journal's folder, before anything is written to a new segment.
pub(super) const FOLDER: SyncPoint = SyncPoint("journal.folder");
/// A group, before its appends are answered.
pub(super) const GROUP: SyncPoint = SyncPoint("journal.group");
/// The journal's folder between two removals of segments, so that never one is back whose
/// successor is gone.
pub(super) const DROP: SyncPoint = SyncPoint("journal.drop");
/// The group that attests the others, at a clean close.
pub(super) const CLOSE: SyncPoint = SyncPoint("journal.close");
