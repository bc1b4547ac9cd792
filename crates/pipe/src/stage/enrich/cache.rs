//! Answers of calls that are remembered for a while.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of all answers in one cache, keys included.
const CACHE_BYTES_MAX: usize = 256 << 20;
/// What an entry takes beside key and answer, roughly.
const ENTRY_BYTES: usize = 128;
/// The order may have this many places more than twice as many as there are answers.
const ORDER_SPARE: usize = 16;

/// What a call said of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// This, as JSON on one line.
    Known(Arc<[u8]>),
    /// `null`: there is none.
    None,
    /// The call failed for good: why.
    Failed(Arc<str>),
}

/// Answers by key; the oldest ones go first. Bounded in entries, bytes and age.
#[derive(Debug)]
pub(super) struct Cache {
    entries_max: usize,
    age_max: Duration,
    bytes_max: usize,
    answers: HashMap<Arc<[u8]>, (Answer, Instant)>,
    /// In the order in which they came, which is that in which they get too old.
    order: VecDeque<(Arc<[u8]>, Instant)>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(entries_max: u64, age_max: Duration) -> Cache {
        Cache {
            entries_max: usize::try_from(entries_max).unwrap_or(usize::MAX),
            age_max,
            bytes_max: CACHE_BYTES_MAX,
            answers: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The answer, if one is remembered that isn't too old.
    pub(super) fn get(&self, key: &[u8], now: Instant) -> Option<&Answer> {
        let (answer, since) = self.answers.get(key)?;
        (now.saturating_duration_since(*since) < self.age_max).then_some(answer)
    }

    /// Remembers an answer; failures aren't.
    pub(super) fn put(&mut self, key: &[u8], answer: &Answer, now: Instant) {
        let bytes = weight(key, answer);
        if matches!(answer, Answer::Failed(_)) || self.entries_max == 0 || bytes > self.bytes_max {
            return;
        }
        self.forget(key);
        let key: Arc<[u8]> = key.into();
        self.bytes += bytes;
        self.answers.insert(Arc::clone(&key), (answer.clone(), now));
        self.order.push_back((key, now));
        while self.answers.len() > self.entries_max
            || self.bytes > self.bytes_max
            || self.is_first_spent(now)
        {
            self.drop_oldest();
        }
        // Places of answers that were replaced may stand behind one that lives long.
        if self.order.len() > 2 * self.answers.len() + ORDER_SPARE {
            let answers = &self.answers;
            self.order.retain(|(key, since)| answers.get(key).is_some_and(|(_, own)| own == since));
        }
    }

    /// The first place in the order names an answer that is too old, or was replaced.
    fn is_first_spent(&self, now: Instant) -> bool {
        self.order.front().is_some_and(|(key, since)| {
            now.saturating_duration_since(*since) >= self.age_max
                || self.answers.get(key).is_none_or(|(_, own)| own != since)
        })
    }

    fn drop_oldest(&mut self) {
        let Some((key, since)) = self.order.pop_front() else { return };
        if self.answers.get(&key).is_some_and(|(_, own)| *own == since) {
            self.forget(&key);
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some((answer, _)) = self.answers.remove(key) {
            self.bytes -= weight(key, &answer);
        }
    }
}

fn weight(key: &[u8], answer: &Answer) -> usize {
    let answer = match answer {
        Answer::Known(json) => json.len(),
        Answer::None | Answer::Failed(_) => 0,
    };
    ENTRY_BYTES + key.len() + answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Answer {
        Answer::Known(text.as_bytes().into())
    }

    #[test]
    fn the_oldest_go_first_and_old_ones_are_not_given() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut cache = Cache::new(2, Duration::from_secs(10));
        cache.put(b"a", &known("1"), at(0));
        cache.put(b"b", &Answer::None, at(1));
        assert_eq!(cache.get(b"a", at(9)), Some(&known("1")));
        assert_eq!(cache.get(b"a", at(10)), None);
        assert_eq!(cache.get(b"b", at(10)), Some(&Answer::None));
        // Asked again, `a` is the newest; `b` goes.
        cache.put(b"a", &known("2"), at(10));
        cache.put(b"c", &known("3"), at(11));
        assert_eq!(cache.get(b"a", at(11)), Some(&known("2")));
        assert_eq!(cache.get(b"b", at(5)), None);
        cache.put(b"d", &Answer::Failed("x".into()), at(11));
        assert_eq!(cache.get(b"d", at(11)), None);
    }

    #[test]
    fn entries_bytes_and_order_stay_bounded() {
        let start = Instant::now();
        let mut cache = Cache::new(100, Duration::from_secs(10));
        cache.bytes_max = 20_000;
        let long = known(&"x".repeat(1000));
        for round in 0..10_000_u32 {
            let at = start + Duration::from_millis(u64::from(round));
            cache.put(&(round % 150).to_be_bytes(), &long, at);
            cache.put(b"again and again", &known("1"), at);
            assert!(cache.bytes <= 20_000 && cache.answers.len() <= 100, "{round}");
            assert!(cache.order.len() <= 2 * cache.answers.len() + ORDER_SPARE, "{round}");
        }
        let weights = cache.answers.iter().map(|(key, (answer, _))| weight(key, answer));
        assert_eq!(cache.bytes, weights.sum::<usize>());
        cache.put(b"too large", &known(&"x".repeat(30_000)), start);
        assert_eq!(cache.get(b"too large", start), None);
        let mut few = Cache::new(100, Duration::from_secs(10));
        for round in 0..1000_u64 {
            // One that lives long, and one that is asked for again and again behind it.
            let at = start + Duration::from_millis(round);
            if round == 0 {
                few.put(b"first", &known("1"), at);
            }
            few.put(b"again", &known("1"), at);
            assert!(few.order.len() <= 2 * 2 + ORDER_SPARE, "{round}");
        }
        few.put(b"late", &known("1"), start + Duration::from_secs(60));
        assert_eq!((few.answers.len(), few.order.len()), (1, 1), "what is too old is let go");
        let mut none = Cache::new(0, Duration::from_secs(10));
        none.put(b"a", &known("1"), start);
        assert_eq!(none.get(b"a", start), None);
    }
}
