//! A spec at work: events by their number.

use std::ops::Range;

use super::compile::{Compiled, Part, compile};
use super::digits::{Second, decimal, integer, pattern, pick, uuid};
use super::rng::Rng;
use super::spec::{FieldName, Spec};

/// Tells the numbers that decide who is late from those that make events.
const LATE_SEED: u64 = 0x6c61_7465_6c61_7465;

/// Makes events. Event `n` depends on the seed and `n` alone, so that a duplicate is made by
/// making the event again: nothing is remembered.
#[derive(Debug)]
pub(crate) struct Generator {
    seed: u64,
    start_ms: i64,
    interval_ns: u64,
    late: Option<Late>,
    /// Which kind: weights, summed up.
    weights: Vec<u64>,
    kinds: Vec<Compiled>,
    marked: Vec<Range<usize>>,
    second: Second,
}

/// Some events' time lies behind that of their neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    /// So many of 2^32 events.
    pub(crate) of: u64,
    /// By how much; ms.
    pub(crate) by_ms: i64,
}

/// One event of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Which event, from 0.
    pub(crate) number: u64,
    /// What it is.
    pub(crate) sort: Sort,
}

/// Whether an event came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// No.
    New,
    /// Yes, byte for byte.
    Copy,
    /// Yes, and now one field is different.
    OtherBody {
        /// Decides how.
        salt: u64,
    },
}

impl Generator {
    /// Compiles a spec. [`Generator::marked`] tells where the fields of `marked` stand.
    pub(crate) fn new(
        spec: &Spec,
        seed: u64,
        late: Option<Late>,
        marked: &[FieldName],
    ) -> Generator {
        let mut sum = 0u64;
        let weights = spec.kinds.iter().map(|kind| {
            sum = sum.saturating_add(kind.weight);
            sum
        });
        Generator {
            seed,
            start_ms: spec.start_ms,
            interval_ns: spec.interval_ns,
            late,
            weights: weights.collect(),
            kinds: spec.kinds.iter().map(|kind| compile(kind, spec, marked)).collect(),
            marked: vec![0..0; marked.len()],
            second: Second::default(),
        }
    }

    /// The time of event `number`, were it not late; ms since the Unix epoch.
    pub(crate) fn on_time_ms(&self, number: u64) -> i64 {
        let passed_ns = u128::from(number) * u128::from(self.interval_ns);
        let passed_ms = i64::try_from(passed_ns / 1_000_000).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(passed_ms)
    }

    /// By how much event `number` is late; ms.
    pub(crate) fn late_ms(&self, number: u64) -> i64 {
        match self.late {
            Some(late) if Rng::new(self.seed ^ LATE_SEED, number).below(1 << 32) < late.of => {
                late.by_ms
            }
            _ => 0,
        }
    }

    /// Appends the event's JSON text. All copies with another body of an event differ from it in
    /// the same field, and keep its key.
    pub(crate) fn write(&mut self, item: Item, out: &mut Vec<u8>) {
        let mut rng = Rng::new(self.seed, item.number);
        let time_ms = self.on_time_ms(item.number).saturating_sub(self.late_ms(item.number));
        let Generator { weights, kinds, marked, second, .. } = self;
        let Some(kind) = kinds.get(pick(weights, &mut rng)) else { return };
        let mut made = Made { number: item.number, time_ms, second, marked };
        for (index, part) in kind.parts.iter().enumerate() {
            let start = out.len();
            made.write(part, &mut rng, out);
            if let Sort::OtherBody { salt } = item.sort
                && kind.other == Some(index)
            {
                let original = out.split_off(start);
                made.write_other(part, &original, Rng::new(salt, item.number), out);
            }
        }
    }

    /// Where the marked fields of the event that was written last stand in its buffer.
    pub(crate) fn marked(&self) -> &[Range<usize>] {
        &self.marked
    }
}

/// An event while it is made.
struct Made<'a> {
    number: u64,
    time_ms: i64,
    second: &'a mut Second,
    marked: &'a mut [Range<usize>],
}

impl Made<'_> {
    #[inline]
    fn write(&mut self, part: &Part, rng: &mut Rng, out: &mut Vec<u8>) {
        match part {
            Part::Literal(text) => out.extend_from_slice(text),
            Part::Begin(mark) => {
                if let Some(range) = self.marked.get_mut(*mark) {
                    range.start = out.len();
                }
            }
            Part::End(mark) => {
                if let Some(range) = self.marked.get_mut(*mark) {
                    range.end = out.len();
                }
            }
            Part::Uuid => uuid(rng, out),
            Part::Sequence => integer(self.number.saturating_add(1), out),
            Part::Seconds => integer(self.time_ms.div_euclid(1000), out),
            Part::Millis => integer(self.time_ms, out),
            Part::Rfc3339 => self.second.write(self.time_ms, out),
            Part::Integer { min, values } => {
                integer(min.wrapping_add_unsigned(rng.below(*values)), out);
            }
            Part::Decimal { min, values, digits } => {
                decimal(min.wrapping_add_unsigned(rng.below(*values)), *digits, out);
            }
            Part::Chance(of) => truth(rng.below(1 << 32) < *of, out),
            Part::Pool(values) => {
                let index = rng.below(values.len() as u64) as usize;
                out.extend_from_slice(values.get(index).map_or(&[], |value| value));
            }
            Part::Choice { weights, values } => {
                let index = pick(weights, rng);
                out.extend_from_slice(values.get(index).map_or(&[], |value| value));
            }
            Part::Pattern(text) => pattern(text, rng, out),
        }
    }

    /// Writes a value that isn't `original`.
    fn write_other(&mut self, part: &Part, original: &[u8], mut rng: Rng, out: &mut Vec<u8>) {
        match part {
            Part::Chance(_) => truth(original == b"false", out),
            // By weights, a rare second value might be long in coming.
            Part::Choice { weights, values } => {
                let mut sum = 0;
                let mut others = Vec::new();
                for (value, upto) in values.iter().zip(weights) {
                    if *upto > sum && **value != *original {
                        others.push(value);
                    }
                    sum = *upto;
                }
                let index = rng.below(others.len() as u64) as usize;
                out.extend_from_slice(others.get(index).map_or(original, |value| value));
            }
            // `Value::can_differ` made sure that there is another one.
            _ => {
                let start = out.len();
                loop {
                    self.write(part, &mut rng, out);
                    if out.get(start..) != Some(original) {
                        return;
                    }
                    out.truncate(start);
                }
            }
        }
    }
}

fn truth(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

#[cfg(test)]
mod tests {
    use super::super::spec::{Field, Kind, TimeFormat, Value};
    use super::*;

    fn generator(fields: Vec<(&str, Value)>) -> Generator {
        let fields = fields.into_iter().map(|(path, value)| Field {
            path: path.split('.').map(str::to_owned).collect(),
            value,
        });
        let kind = Kind { name: "game:resumed".into(), weight: 1, fields: fields.collect() };
        let spec = Spec {
            start_ms: 1_000_000_000_123,
            interval_ns: 1_500_000,
            kinds: vec![kind],
            key: vec![vec!["key".to_owned()]],
            other_body: None,
            encode: Vec::new(),
        };
        Generator::new(&spec, 5, None, &spec.key)
    }

    fn event(generator: &mut Generator, number: u64) -> serde_json::Value {
        let mut out = Vec::new();
        generator.write(Item { number, sort: Sort::New }, &mut out);
        serde_json::from_slice(&out).expect("an event is JSON")
    }

    #[test]
    fn dotted_fields_become_one_object_and_keep_their_order() {
        let fixed = |json: &str| Value::Fixed(json.to_owned());
        let mut generator = generator(vec![
            ("a.x", fixed("1")),
            ("b", fixed("2")),
            ("a.y.z", fixed("3")),
            ("a.y.w", Value::EventSubtype),
        ]);
        let mut out = Vec::new();
        generator.write(Item { number: 0, sort: Sort::New }, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{\"a\":{\"x\":1,\"y\":{\"z\":3,\"w\":\"resumed\"}},\"b\":2}");
    }

    #[test]
    fn a_uuid_is_one_of_version_4_and_its_digits_are_even() {
        let mut generator = generator(vec![("id", Value::Uuid)]);
        let mut digits = [[0u32; 16]; 36];
        for number in 0..20_000 {
            let event = event(&mut generator, number);
            let id = event["id"].as_str().unwrap();
            let id = id.as_bytes();
            assert_eq!((id.len(), id[8], id[13], id[14], id[18]), (36, b'-', b'-', b'4', b'-'));
            assert!(b"89ab".contains(&id[19]), "{}", event["id"]);
            for (place, byte) in id.iter().enumerate().filter(|(_, byte)| **byte != b'-') {
                digits[place][(*byte as char).to_digit(16).unwrap() as usize] += 1;
            }
        }
        for place in (0..36).filter(|place| ![8, 13, 14, 18, 19, 23].contains(place)) {
            let even = digits[place].iter().all(|count| (1050..1450).contains(count));
            assert!(even, "digit {place}: {:?}", digits[place]);
        }
    }

    #[test]
    fn times_rise_and_agree() {
        let time = |format| Value::Time(format);
        let mut generator = generator(vec![
            ("s", time(TimeFormat::EpochSeconds)),
            ("ms", time(TimeFormat::EpochMillis)),
            ("text", time(TimeFormat::Rfc3339)),
        ]);
        for number in [0, 1, 2, 584, 585, 100_000] {
            let event = event(&mut generator, number);
            let ms = 1_000_000_000_123 + (number * 3 / 2) as i64;
            assert_eq!(event["ms"], ms);
            assert_eq!(event["s"], ms / 1000);
            let parsed: jiff::Timestamp = event["text"].as_str().unwrap().parse().unwrap();
            assert_eq!(parsed.as_millisecond(), ms, "{}", event["text"]);
        }
    }

    #[test]
    fn numbers_stay_inside_their_bounds_and_reach_them() {
        let mut generator = generator(vec![
            ("i", Value::Integer { min: -2, max: 2 }),
            ("d", Value::Decimal { min: -5, max: 5, digits: 2 }),
            ("all", Value::Integer { min: i64::MIN, max: i64::MAX }),
            ("p", Value::Pattern("#?-x".into())),
            ("c", Value::Choice(vec![("1".into(), 1), ("2".into(), 0), ("3".into(), 9)])),
            ("b", Value::Chance(1 << 31)),
        ]);
        let mut least = (0i64, 0f64);
        let mut most = (0i64, 0f64);
        for number in 0..2000 {
            let event = event(&mut generator, number);
            let (i, d) = (event["i"].as_i64().unwrap(), event["d"].as_f64().unwrap());
            least = (least.0.min(i), least.1.min(d));
            most = (most.0.max(i), most.1.max(d));
            assert!(event["c"] == 1 || event["c"] == 3);
            let text = event["p"].as_str().unwrap().as_bytes();
            assert!(text[0].is_ascii_digit() && text[1].is_ascii_lowercase());
        }
        assert_eq!((least, most), ((-2, -0.05), (2, 0.05)));
    }

    #[test]
    fn a_copy_with_another_body_differs_in_one_field_and_keeps_its_key() {
        let rare = Value::Choice(vec![("1".into(), 1_000_000), ("2".into(), 1)]);
        for (name, value) in [
            ("rare", rare),
            ("chance", Value::Chance(1)),
            ("integer", Value::Integer { min: 1, max: 2 }),
            ("pattern", Value::Pattern("#".into())),
        ] {
            let mut generator = generator(vec![
                ("before", Value::Uuid),
                ("key", Value::Uuid),
                (name, value),
                ("after", Value::Sequence),
            ]);
            for number in 0..200 {
                let mut text = |sort| {
                    let mut out = b"...".to_vec();
                    generator.write(Item { number, sort }, &mut out);
                    let key = String::from_utf8(out[generator.marked()[0].clone()].to_vec());
                    (serde_json::from_slice::<serde_json::Value>(&out[3..]).unwrap(), key.unwrap())
                };
                let (mut original, key) = text(Sort::New);
                assert_eq!(text(Sort::Copy), (original.clone(), key.clone()));
                assert_eq!(key, original["key"].to_string());
                let (other, other_key) = text(Sort::OtherBody { salt: 99 });
                assert_eq!(other_key, key);
                assert_ne!(original[name], other[name]);
                original[name] = other[name].clone();
                assert_eq!(original, other, "only `{name}` differs");
            }
        }
    }
}
