//! What holds for every batch: 1 to 10 entries with distinct ids, each answers for itself.

use std::collections::HashSet;

use super::error::{Kind, SqsError};
use crate::wire::{Out, Text};

const ENTRIES_MAX: usize = 10;
const ID_BYTES_MAX: usize = 80;

/// An entry of a batch.
pub(super) trait Entry {
    fn id(&self) -> &str;
}

/// An entry's fate.
pub(super) type Fate<T> = Result<T, SqsError>;

/// The entries, checked. `what` is the name of the entry's type.
pub(super) fn check<E: Entry>(entries: Option<Vec<E>>, what: &str) -> Result<Vec<E>, SqsError> {
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        let message = format!("There should be at least one {what} in the request.");
        return Err(SqsError::new(Kind::EmptyBatchRequest, message));
    }
    if entries.len() > ENTRIES_MAX {
        let message = format!(
            "Maximum number of entries per request are {ENTRIES_MAX}. You have sent {}.",
            entries.len()
        );
        return Err(SqsError::new(Kind::TooManyEntriesInBatchRequest, message));
    }
    let mut ids = HashSet::new();
    for id in entries.iter().map(Entry::id) {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(good) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and \
                           underscores. It can be at most 80 letters long.";
            return Err(SqsError::new(Kind::InvalidBatchEntryId, message));
        }
        if !ids.insert(id) {
            return Err(SqsError::new(
                Kind::BatchEntryIdsNotDistinct,
                format!("Id {id} repeated."),
            ));
        }
    }
    Ok(entries)
}

/// The answer: those that went, each written by `write` after its id, and those that did not.
pub(super) fn answer<E: Entry, T>(
    capacity: usize,
    entries: &[E],
    fates: &[Fate<T>],
    mut write: impl FnMut(&mut Out, &T),
) -> Out {
    let mut out = Out::with_capacity(capacity);
    let fates = || entries.iter().zip(fates);
    let went = fates().filter_map(|(entry, fate)| Some((entry, fate.as_ref().ok()?)));
    out.raw("{\"Successful\":[").list(went, |out, (entry, done)| {
        out.raw("{\"Id\":").text(entry.id());
        write(out, done);
        out.raw("}");
    });
    out.raw("]");
    let mut failed =
        fates().filter_map(|(entry, fate)| Some((entry, fate.as_ref().err()?))).peekable();
    if failed.peek().is_some() {
        out.raw(",\"Failed\":[").list(failed, |out, (entry, error)| {
            out.raw("{\"Id\":").text(entry.id());
            out.raw(",\"SenderFault\":").show(error.kind.is_senders());
            out.raw(",\"Code\":").text(error.kind.code());
            out.raw(",\"Message\":").text(&error.message).raw("}");
        });
        out.raw("]");
    }
    out.raw("}");
    out
}

/// An entry's id, if it has one.
pub(super) fn id<'a>(id: Option<&'a Text<'_>>) -> &'a str {
    id.map_or("", |id| id)
}
