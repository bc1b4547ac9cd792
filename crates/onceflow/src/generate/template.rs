//! A spec, compiled: per kind of event the fixed text and what goes between it.

use super::names;
use super::rng::Rng;
use super::spec::{Fake, Field, Kind, Spec, TimeFormat, Value};

/// Makes events. Event `n` depends on the seed and `n` alone, so that a duplicate is made by
/// making the event again: nothing is remembered.
#[derive(Debug)]
pub(crate) struct Generator {
    seed: u64,
    start_ms: i64,
    interval_ns: u64,
    /// Which kind: weights, summed up.
    weights: Vec<u64>,
    kinds: Vec<Vec<Part>>,
    second: Second,
}

#[derive(Debug)]
enum Part {
    Literal(Box<[u8]>),
    Uuid,
    Sequence,
    Seconds,
    Millis,
    Rfc3339,
    Integer { min: i64, values: u64 },
    Decimal { min: i64, values: u64, digits: u32 },
    Chance(u64),
    Pool(Vec<Box<[u8]>>),
    Choice { weights: Vec<u64>, values: Vec<Box<[u8]>> },
    Pattern(Box<[u8]>),
}

/// The second that RFC 3339 times were written for last: neighbours share it.
#[derive(Debug, Default)]
struct Second {
    epoch: Option<i64>,
    text: String,
}

impl Generator {
    /// Compiles a spec.
    pub(crate) fn new(spec: &Spec, seed: u64) -> Generator {
        let mut sum = 0u64;
        let weights = spec.kinds.iter().map(|kind| {
            sum = sum.saturating_add(kind.weight);
            sum
        });
        Generator {
            seed,
            start_ms: spec.start_ms,
            interval_ns: spec.interval_ns,
            weights: weights.collect(),
            kinds: spec.kinds.iter().map(compile).collect(),
            second: Second::default(),
        }
    }

    /// Appends event `number` (from 0) and a newline.
    pub(crate) fn write(&mut self, number: u64, out: &mut Vec<u8>) {
        let mut rng = Rng::new(self.seed, number);
        let passed_ns = u128::from(number) * u128::from(self.interval_ns);
        let passed_ms = i64::try_from(passed_ns / 1_000_000).unwrap_or(i64::MAX);
        let at_ms = self.start_ms.saturating_add(passed_ms);
        let kind = pick(&self.weights, &mut rng);
        for part in self.kinds.get(kind).map_or(&[][..], Vec::as_slice) {
            match part {
                Part::Literal(text) => out.extend_from_slice(text),
                Part::Uuid => uuid(&mut rng, out),
                Part::Sequence => integer(number.saturating_add(1), out),
                Part::Seconds => integer(at_ms.div_euclid(1000), out),
                Part::Millis => integer(at_ms, out),
                Part::Rfc3339 => self.second.write(at_ms, out),
                Part::Integer { min, values } => {
                    integer(min.wrapping_add_unsigned(rng.below(*values)), out);
                }
                Part::Decimal { min, values, digits } => {
                    decimal(min.wrapping_add_unsigned(rng.below(*values)), *digits, out);
                }
                Part::Chance(of) => {
                    let yes = rng.below(1 << 32) < *of;
                    out.extend_from_slice(if yes { b"true" } else { b"false" });
                }
                Part::Pool(values) => {
                    let index = rng.below(values.len() as u64) as usize;
                    out.extend_from_slice(values.get(index).map_or(&[], |value| value));
                }
                Part::Choice { weights, values } => {
                    let index = pick(weights, &mut rng);
                    out.extend_from_slice(values.get(index).map_or(&[], |value| value));
                }
                Part::Pattern(text) => pattern(text, &mut rng, out),
            }
        }
    }
}

/// An index by weights that are summed up.
#[inline]
fn pick(sums: &[u64], rng: &mut Rng) -> usize {
    let at = rng.below(sums.last().copied().unwrap_or(0));
    sums.iter().position(|&sum| at < sum).unwrap_or(0)
}

#[inline]
fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn decimal(value: i64, digits: u32, out: &mut Vec<u8>) {
    let unit = 10u64.pow(digits);
    if value < 0 {
        out.push(b'-');
    }
    let value = value.unsigned_abs();
    integer(value / unit, out);
    out.push(b'.');
    let fraction = value % unit;
    let mut shown = itoa::Buffer::new();
    let shown = shown.format(fraction);
    out.extend(std::iter::repeat_n(b'0', (digits as usize).saturating_sub(shown.len())));
    out.extend_from_slice(shown.as_bytes());
}

fn pattern(text: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
    out.extend(text.iter().map(|&byte| match byte {
        b'#' => b'0' + rng.below(10) as u8,
        b'?' => b'a' + rng.below(26) as u8,
        byte => byte,
    }));
}

/// 16 hexadecimal digits of the number's 16 nibbles, in some order.
#[inline]
fn hex(number: u64) -> [u8; 16] {
    let half = |x: u64| {
        let x = (x | (x << 16)) & 0x0000_ffff_0000_ffff;
        let x = (x | (x << 8)) & 0x00ff_00ff_00ff_00ff;
        let x = (x | (x << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
        // 1 in each byte that holds 10 or more, which becomes a letter: 39 beyond the digits.
        let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        x + 0x3030_3030_3030_3030 + letters * 39
    };
    let both = u128::from(half(number & 0xffff_ffff)) | u128::from(half(number >> 32)) << 64;
    both.to_le_bytes()
}

/// A random UUID (RFC 9562, version 4) in quotes.
fn uuid(rng: &mut Rng, out: &mut Vec<u8>) {
    let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, _, c1, c2, c3] = hex(rng.next());
    let last = rng.next();
    let variant = match last >> 62 {
        0 => b'8',
        1 => b'9',
        2 => b'a',
        _ => b'b',
    };
    // The two top bits chose the variant: the last 12 digits come of the 48 bits below.
    let [e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, d1, d2, d3, _] = hex(last);
    out.extend_from_slice(&[
        b'"', a0, a1, a2, a3, a4, a5, a6, a7, b'-', b0, b1, b2, b3, b'-', b'4', c1, c2, c3, b'-',
        variant, d1, d2, d3, b'-', e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, b'"',
    ]);
}

impl Second {
    fn write(&mut self, at_ms: i64, out: &mut Vec<u8>) {
        let epoch = at_ms.div_euclid(1000);
        if self.epoch != Some(epoch) {
            let time = jiff::Timestamp::from_second(epoch).unwrap_or(jiff::Timestamp::MAX);
            self.text = time.strftime("\"%Y-%m-%dT%H:%M:%S.").to_string();
            self.epoch = Some(epoch);
        }
        out.extend_from_slice(self.text.as_bytes());
        let ms = u16::try_from(at_ms.rem_euclid(1000)).unwrap_or(0);
        let digit = |number: u16| b'0' + (number % 10) as u8;
        out.extend_from_slice(&[digit(ms / 100), digit(ms / 10), digit(ms), b'Z', b'"']);
    }
}

/// Joins what always follows each other.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    literal: Vec<u8>,
}

impl Parts {
    fn text(&mut self, text: &str) {
        self.literal.extend_from_slice(text.as_bytes());
    }

    fn part(&mut self, part: Part) {
        self.end();
        self.parts.push(part);
    }

    fn end(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(Part::Literal(std::mem::take(&mut self.literal).into()));
        }
    }
}

fn compile(kind: &Kind) -> Vec<Part> {
    let mut parts = Parts::default();
    let fields: Vec<&Field> = kind.fields.iter().collect();
    object(kind, &fields, 0, &mut parts);
    parts.text("\n");
    parts.end();
    parts.parts
}

/// Writes the fields that share their first `depth` names as one object, each name once, where
/// it came first.
fn object(kind: &Kind, fields: &[&Field], depth: usize, parts: &mut Parts) {
    parts.text("{");
    let mut written: Vec<&String> = Vec::new();
    for field in fields {
        let Some(name) = field.path.get(depth) else { continue };
        if written.contains(&name) {
            continue;
        }
        if !written.is_empty() {
            parts.text(",");
        }
        written.push(name);
        parts.text(&names::json(name));
        parts.text(":");
        if field.path.len() == depth + 1 {
            value(kind, &field.value, parts);
        } else {
            let inside: Vec<&Field> = fields
                .iter()
                .copied()
                .filter(|field| field.path.get(depth) == Some(name))
                .collect();
            object(kind, &inside, depth + 1, parts);
        }
    }
    parts.text("}");
}

fn value(kind: &Kind, value: &Value, parts: &mut Parts) {
    let (event_type, subtype) = kind.name.split_once(':').unwrap_or((&kind.name, &kind.name));
    match value {
        Value::Uuid => parts.part(Part::Uuid),
        Value::EventName => parts.text(&names::json(&kind.name)),
        Value::EventType => parts.text(&names::json(event_type)),
        Value::EventSubtype => parts.text(&names::json(subtype)),
        Value::Time(TimeFormat::EpochSeconds) => parts.part(Part::Seconds),
        Value::Time(TimeFormat::EpochMillis) => parts.part(Part::Millis),
        Value::Time(TimeFormat::Rfc3339) => parts.part(Part::Rfc3339),
        Value::Sequence => parts.part(Part::Sequence),
        Value::Integer { min, max } => {
            let values = max.abs_diff(*min).saturating_add(1);
            parts.part(Part::Integer { min: *min, values });
        }
        Value::Decimal { min, max, digits } => {
            let values = max.abs_diff(*min).saturating_add(1);
            parts.part(Part::Decimal { min: *min, values, digits: *digits });
        }
        Value::Chance(of) => parts.part(Part::Chance(*of)),
        Value::Choice(choices) => {
            let mut sum = 0;
            let sums = choices.iter().map(|(_, weight)| {
                sum += weight;
                sum
            });
            let weights = sums.collect();
            let values = choices.iter().map(|(json, _)| json.as_bytes().into()).collect();
            parts.part(Part::Choice { weights, values });
        }
        Value::Fixed(json) => parts.text(json),
        Value::Pattern(text) => {
            parts.part(Part::Pattern(names::json(text).into_bytes().into()));
        }
        Value::Fake(sort) => parts.part(pool(*sort)),
    }
}

fn pool(sort: Fake) -> Part {
    Part::Pool(names::pool(sort).into_iter().map(|json| json.into_bytes().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(fields: Vec<(&str, Value)>) -> Generator {
        let fields = fields.into_iter().map(|(path, value)| Field {
            path: path.split('.').map(str::to_owned).collect(),
            value,
        });
        let kind = Kind { name: "game:resumed".into(), weight: 1, fields: fields.collect() };
        let spec = Spec { start_ms: 1_000_000_000_123, interval_ns: 1_500_000, kinds: vec![kind] };
        Generator::new(&spec, 5)
    }

    fn event(generator: &mut Generator, number: u64) -> serde_json::Value {
        let mut out = Vec::new();
        generator.write(number, &mut out);
        assert_eq!(out.last(), Some(&b'\n'));
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
        generator.write(0, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{\"a\":{\"x\":1,\"y\":{\"z\":3,\"w\":\"resumed\"}},\"b\":2}\n");
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
}
