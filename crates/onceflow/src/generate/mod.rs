//! `onceflow generate`: events out of a description of them, the same for the same seed.
//!
//! `read` turns YAML into a `spec`, `template` compiles it, and this file decides which event is
//! new and which is an exact copy of an earlier one.

mod names;
mod read;
mod read_value;
mod rng;
mod spec;
mod template;
mod yaml;

use std::io::{self, Write};

pub(crate) use read::load;
use rng::Rng;
pub(crate) use spec::Spec;
use template::Generator;

/// A duplicate follows its original by at most so many new events.
pub(crate) const DUPLICATE_DISTANCE_MAX: u64 = 100_000;

/// Bytes that are handed to the output at once.
const WRITE_BYTES: usize = 256 * 1024;

/// How many events, and of which sort.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// Events in all.
    pub(crate) events: u64,
    /// So many of them are exact copies of an earlier one; below `events`.
    pub(crate) duplicates: u64,
    /// Decides everything that is random.
    pub(crate) seed: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Events that differ from each other.
    pub(crate) new: u64,
    /// Exact copies of them.
    pub(crate) duplicates: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

/// Writes `amount` events as NDJSON.
///
/// The number of duplicates is exact; where they stand is random. A copy follows its original by
/// at most [`DUPLICATE_DISTANCE_MAX`] new events.
pub(crate) fn generate(spec: &Spec, amount: Amount, out: &mut dyn Write) -> io::Result<Written> {
    let mut generator = Generator::new(spec, amount.seed);
    // Apart from the events' own numbers, so that more duplicates don't change the events.
    let mut rng = Rng::new(!amount.seed, u64::MAX);
    let mut buffer = Vec::with_capacity(WRITE_BYTES + 16 * 1024);
    let mut written = Written { new: 0, duplicates: 0, bytes: 0 };
    for done in 0..amount.events {
        // Selection sampling: every choice of places for the duplicates is as likely, except
        // that the first event is new.
        let left = amount.events - done;
        let duplicates_left = amount.duplicates - written.duplicates;
        let number = if written.new > 0 && rng.below(left) < duplicates_left {
            written.duplicates += 1;
            written.new - 1 - rng.below(written.new.min(DUPLICATE_DISTANCE_MAX))
        } else {
            written.new += 1;
            written.new - 1
        };
        generator.write(number, &mut buffer);
        if buffer.len() >= WRITE_BYTES {
            written.bytes += buffer.len() as u64;
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    written.bytes += buffer.len() as u64;
    out.write_all(&buffer)?;
    out.flush()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use spec::{Field, Kind, Value};

    fn spec() -> Spec {
        let field = |name: &str, value| Field { path: vec![name.to_owned()], value };
        let fields = vec![field("id", Value::Uuid), field("n", Value::Sequence)];
        Spec {
            start_ms: 0,
            interval_ns: 1,
            kinds: vec![Kind { name: "a".into(), weight: 1, fields }],
        }
    }

    fn lines(amount: Amount) -> Vec<String> {
        let mut out = Vec::new();
        let written = generate(&spec(), amount, &mut out).unwrap();
        assert_eq!(written.bytes, out.len() as u64);
        assert_eq!(written.new + written.duplicates, amount.events);
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_share_of_duplicates_is_exact_and_they_are_copies_of_earlier_events() {
        for (events, duplicates) in [(1, 0), (2, 1), (10, 9), (5000, 500), (5000, 0)] {
            let lines = lines(Amount { events, duplicates, seed: 3 });
            let mut first: HashMap<&str, usize> = HashMap::new();
            for (at, line) in lines.iter().enumerate() {
                first.entry(line).or_insert(at);
            }
            assert_eq!(lines.len() as u64, events);
            assert_eq!(first.len() as u64, events - duplicates);
        }
    }

    #[test]
    fn a_duplicate_stays_near_its_original() {
        let events = 3 * DUPLICATE_DISTANCE_MAX;
        let lines = lines(Amount { events, duplicates: events / 10, seed: 1 });
        let mut newest = 0;
        let mut furthest = 0;
        for line in &lines {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = event["n"].as_u64().unwrap();
            newest = newest.max(number);
            furthest = furthest.max(newest - number);
        }
        assert!(furthest < DUPLICATE_DISTANCE_MAX, "{furthest}");
        assert!(furthest > DUPLICATE_DISTANCE_MAX / 2, "{furthest}");
    }

    #[test]
    fn the_same_seed_gives_the_same_events_and_another_seed_others() {
        let amount = Amount { events: 1000, duplicates: 100, seed: 8 };
        assert_eq!(lines(amount), lines(amount));
        assert_ne!(lines(amount), lines(Amount { seed: 9, ..amount }));
    }
}
