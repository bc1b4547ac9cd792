//! What is said to the events that ask for one key, from one look at its item. Nothing here talks
//! to the store.

use super::item::Entry;
use crate::scope::Reach;
use crate::store::{Answer, Asked, BatchRef};

/// What is known of a batch that holds an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Committed, and known to have been before the item was looked at.
    Committed,
    /// Committed, learned after the item was looked at: by now the entry may be another's, or
    /// nobody's, since a batch may let go of a key before it commits.
    CommittedSince,
    /// Aborted, or its record isn't there.
    Free,
    /// It may not be taken over yet.
    Open {
        /// ms
        lease_left_ms: u64,
    },
    /// Nothing, since nothing depends on it.
    Unknown,
}

/// Decision on the events that ask for one key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// One a question, in order.
    pub(super) answers: Vec<Answer>,
    /// What the item has to hold for the answers to be true.
    pub(super) entries: Vec<Entry>,
    /// Whether an entry was added: the item must be written, and only if it is as it was seen.
    pub(super) must_write: bool,
    /// Whether an answer hangs on something learned after the look, so that without a write the
    /// item must be looked at again.
    pub(super) must_look_again: bool,
}

fn covers(entry: &Entry, recorded_ms: i64) -> bool {
    Reach { recorded_ms: entry.recorded_ms, window_ms: entry.window_ms }.covers(recorded_ms)
}

/// The batches that hold an entry which reaches one of these events, but `batch` itself: what has
/// to be known of them before [`decide`].
pub(super) fn holders<'a>(
    batch: BatchRef,
    seen: &'a [Entry],
    asked: impl Iterator<Item = Asked> + Clone + 'a,
) -> impl Iterator<Item = BatchRef> + 'a {
    let reaches = move |entry: &&Entry| asked.clone().any(|asked| covers(entry, asked.recorded_ms));
    seen.iter()
        .filter(move |entry| entry.held_by.is_some_and(|by| by != batch))
        .filter(reaches)
        .filter_map(|entry| entry.held_by)
}

/// An entry on the table while its key is decided about.
#[derive(Clone, Copy)]
struct Known {
    entry: Entry,
    /// Of another batch that holds it; ms.
    lease_left_ms: u64,
    /// Committed, and learned only after the look.
    since: bool,
}

/// Decides in the order of the questions: an event sees the entries that those before it left.
pub(super) fn decide(
    batch: BatchRef,
    seen: &[Entry],
    asked: impl Iterator<Item = Asked>,
    holder: impl Fn(&BatchRef) -> Holder,
) -> Decision {
    let mut known: Vec<Known> = Vec::with_capacity(seen.len() + 1);
    for &entry in seen {
        let mut one = Known { entry, lease_left_ms: 0, since: false };
        match entry.held_by.filter(|by| *by != batch).map(|by| holder(&by)) {
            Some(Holder::Free) => continue,
            Some(state @ (Holder::Committed | Holder::CommittedSince)) => {
                // Told in passing, should the item be written.
                one.entry.held_by = None;
                one.since = state == Holder::CommittedSince;
            }
            Some(Holder::Open { lease_left_ms }) => one.lease_left_ms = lease_left_ms,
            Some(Holder::Unknown) | None => {}
        }
        known.push(one);
    }
    let mut decision = Decision {
        answers: Vec::new(),
        entries: Vec::new(),
        must_write: false,
        must_look_again: false,
    };
    for asked in asked {
        let answer = answer(batch, &known, asked, &mut decision.must_look_again);
        decision.answers.push(answer.unwrap_or(Answer::Reserved));
        if answer.is_none() {
            decision.must_write = true;
            let Asked { recorded_ms, window_ms, body_hash, .. } = asked;
            let entry = Entry { recorded_ms, window_ms, body_hash, held_by: Some(batch) };
            known.push(Known { entry, lease_left_ms: 0, since: false });
        }
    }
    decision.entries = known.into_iter().map(|known| known.entry).collect();
    decision
}

/// What the entries say to one event; `None`: nothing, so it gets an entry of its own.
fn answer(
    batch: BatchRef,
    known: &[Known],
    asked: Asked,
    must_look_again: &mut bool,
) -> Option<Answer> {
    let is_mine = |known: &&Known| known.entry.held_by == Some(batch);
    // Asked before: whatever was committed meanwhile, this batch has it.
    let same = |known: &Known| {
        known.entry.recorded_ms == asked.recorded_ms && known.entry.window_ms == asked.window_ms
    };
    if known.iter().filter(is_mine).any(same) {
        return Some(Answer::Reserved);
    }
    let reaching = || known.iter().filter(|known| covers(&known.entry, asked.recorded_ms));
    // One that is certain before one that must be looked at again.
    let committed = reaching().filter(|known| known.entry.held_by.is_none());
    if let Some(known) = committed.min_by_key(|known| known.since) {
        *must_look_again |= known.since;
        let Entry { recorded_ms, window_ms, body_hash, .. } = known.entry;
        return Some(Answer::Duplicate { recorded_ms, window_ms, body_hash });
    }
    if reaching().any(|known| is_mine(&known)) {
        return Some(Answer::Reserved);
    }
    let longest = reaching().max_by_key(|known| known.lease_left_ms)?;
    let by = longest.entry.held_by?;
    Some(Answer::Busy { by, lease_left_ms: longest.lease_left_ms })
}

#[cfg(test)]
mod tests {
    use event::{BatchNumber, Epoch, LedgerId};

    use super::*;
    use crate::scope::FOREVER_MS;

    fn batch(number: u64) -> BatchRef {
        BatchRef { worker: LedgerId(1), pipe: 0, epoch: Epoch(1), number: BatchNumber(number) }
    }

    fn asked(recorded_ms: i64, window_ms: i64) -> Asked {
        Asked { key: 5, recorded_ms, window_ms, body_hash: 9 }
    }

    fn entry(recorded_ms: i64, window_ms: i64, held_by: Option<BatchRef>) -> Entry {
        Entry { recorded_ms, window_ms, body_hash: 8, held_by }
    }

    fn ask(seen: &[Entry], questions: &[Asked], holder: Holder) -> Decision {
        decide(batch(1), seen, questions.iter().copied(), |_| holder)
    }

    fn duplicate(recorded_ms: i64, window_ms: i64) -> Answer {
        Answer::Duplicate { recorded_ms, window_ms, body_hash: 8 }
    }

    #[test]
    fn an_event_is_a_duplicate_within_the_window_of_the_entry_in_either_direction() {
        let seen = [entry(1_000, 10, None)];
        for (recorded_ms, expected) in [
            (990, Answer::Reserved),
            (991, duplicate(1_000, 10)),
            (1_009, duplicate(1_000, 10)),
            (1_010, Answer::Reserved),
        ] {
            // The event's own window doesn't matter.
            for window_ms in [0, 5, FOREVER_MS] {
                let decision = ask(&seen, &[asked(recorded_ms, window_ms)], Holder::Unknown);
                assert_eq!(decision.answers, [expected], "{recorded_ms}");
                assert_eq!(decision.must_write, expected == Answer::Reserved);
            }
        }
    }

    #[test]
    fn every_entry_counts_not_only_the_last() {
        let seen = [entry(1_000, 10, None), entry(5_000, 10, None), entry(3_000, 500, None)];
        let decision = ask(&seen, &[asked(1_005, 1), asked(3_400, 1)], Holder::Unknown);
        assert_eq!(decision.answers, [duplicate(1_000, 10), duplicate(3_000, 500)]);
        let decision = ask(&seen, &[asked(2_000, 1)], Holder::Unknown);
        assert_eq!((decision.answers, decision.entries.len()), (vec![Answer::Reserved], 4));
    }

    #[test]
    fn the_way_of_a_held_entry_follows_its_batch() {
        let seen = [entry(1_000, 10, Some(batch(2)))];
        let asked = [asked(1_000, 10)];
        let decision = ask(&seen, &asked, Holder::Committed);
        assert_eq!(decision.answers, [duplicate(1_000, 10)]);
        assert!(!decision.must_write && !decision.must_look_again);

        let decision = ask(&seen, &asked, Holder::CommittedSince);
        assert_eq!(decision.answers, [duplicate(1_000, 10)]);
        assert!(decision.must_look_again);

        let decision = ask(&seen, &asked, Holder::Open { lease_left_ms: 7 });
        assert_eq!(decision.answers, [Answer::Busy { by: batch(2), lease_left_ms: 7 }]);

        let decision = ask(&seen, &asked, Holder::Free);
        assert_eq!(decision.answers, [Answer::Reserved]);
        assert_eq!(decision.entries.len(), 1, "the free entry goes");
        assert!(decision.must_write);
    }

    #[test]
    fn a_batch_that_asks_again_holds_what_it_held() {
        let mine = entry(1_000, 10, Some(batch(1)));
        // Meanwhile somebody with a longer window committed an entry that reaches mine.
        let seen = [mine, entry(1_500, 900, None)];
        let decision = ask(&seen, &[asked(1_000, 10)], Holder::Unknown);
        assert_eq!(decision.answers, [Answer::Reserved]);
        assert!(!decision.must_write);
        // A window of nothing reaches nothing, and is held all the same.
        let decision = ask(&[entry(5, 0, Some(batch(1)))], &[asked(5, 0)], Holder::Unknown);
        assert_eq!((decision.answers, decision.must_write), (vec![Answer::Reserved], false));
    }

    #[test]
    fn the_events_of_one_call_are_decided_in_order() {
        let decision = ask(&[], &[asked(0, 10), asked(5, 10), asked(10, 10)], Holder::Unknown);
        assert_eq!(decision.answers, [Answer::Reserved; 3]);
        assert_eq!(decision.entries.len(), 2, "the second is within the first's window");
    }

    #[test]
    fn a_committed_entry_wins_over_one_that_is_held() {
        let seen = [entry(1_000, 10, Some(batch(2))), entry(1_001, 10, None)];
        let decision = ask(&seen, &[asked(1_002, 10)], Holder::Open { lease_left_ms: 3 });
        assert_eq!(decision.answers, [duplicate(1_001, 10)]);
    }

    #[test]
    fn only_batches_whose_entries_reach_an_event_have_to_be_looked_up() {
        let seen = [
            entry(0, 10, Some(batch(2))),
            entry(100, 10, Some(batch(3))),
            entry(200, 10, Some(batch(1))),
            entry(300, 10, None),
        ];
        let questions = [asked(105, 1), asked(205, 1), asked(305, 1)];
        let found: Vec<BatchRef> = holders(batch(1), &seen, questions.iter().copied()).collect();
        assert_eq!(found, [batch(3)]);
    }
}
