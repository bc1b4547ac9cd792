//! What is counted beside the outcomes of events.

/// How many settled events were let through, or not, for a reason that their outcome doesn't say.
/// Outside the balance: each of them has an outcome, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DedupCounts {
    /// Those whose key was remembered with other bodies only, whatever `on_other_body` made of
    /// them.
    pub other_body: u64,
    /// Those without a key, under `missing_key: pass`.
    pub no_key: u64,
    /// Duplicates that started the window of their key anew.
    pub refreshed: u64,
}

impl DedupCounts {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.other_body += other.other_body;
        self.no_key += other.no_key;
        self.refreshed += other.refreshed;
    }

    /// As they stand in a record: in this order, without zeros at the end.
    pub(crate) fn as_list(&self) -> Vec<u64> {
        let mut all = vec![self.other_body, self.no_key, self.refreshed];
        while all.last() == Some(&0) {
            all.pop();
        }
        all
    }

    /// Out of a record. What a later version added at the end is not known here.
    pub(crate) fn of_list(all: &[u64]) -> Self {
        let at = |place: usize| all.get(place).copied().unwrap_or(0);
        Self { other_body: at(0), no_key: at(1), refreshed: at(2) }
    }
}
