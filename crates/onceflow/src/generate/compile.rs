//! A kind of event, compiled: its fixed text and what goes between it.

use super::names;
use super::spec::{Fake, Field, FieldName, Kind, Spec, TimeFormat, Value};

/// A kind of event, compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) parts: Vec<Part>,
    /// Which part is made anew in a copy with another body.
    pub(super) other: Option<usize>,
}

/// One piece of an event's text.
#[derive(Debug)]
pub(super) enum Part {
    Literal(Box<[u8]>),
    /// Here begins the value of the marked field with this number.
    Begin(usize),
    /// Here it ends.
    End(usize),
    Uuid,
    Sequence,
    Seconds,
    Millis,
    Rfc3339,
    Integer {
        min: i64,
        values: u64,
    },
    Decimal {
        min: i64,
        values: u64,
        digits: u32,
    },
    Chance(u64),
    Pool(Vec<Box<[u8]>>),
    Choice {
        weights: Vec<u64>,
        values: Vec<Box<[u8]>>,
    },
    Pattern(Box<[u8]>),
}

/// Joins what always follows each other.
struct Parts<'a> {
    parts: Vec<Part>,
    literal: Vec<u8>,
    /// Fields whose text somebody wants to know.
    marked: &'a [FieldName],
    /// The field that is made anew in a copy with another body.
    other_field: Option<&'a FieldName>,
    other: Option<usize>,
}

impl Parts<'_> {
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

/// Compiles a kind of event. The values of the `marked` fields are framed.
pub(super) fn compile(kind: &Kind, spec: &Spec, marked: &[FieldName]) -> Compiled {
    let mut parts = Parts {
        parts: Vec::new(),
        literal: Vec::new(),
        marked,
        other_field: kind.other_field(spec),
        other: None,
    };
    let fields: Vec<&Field> = kind.fields.iter().collect();
    object(kind, &fields, 0, &mut parts);
    parts.end();
    Compiled { parts: parts.parts, other: parts.other }
}

/// Writes the fields that share their first `depth` names as one object, each name once, where
/// it came first.
fn object(kind: &Kind, fields: &[&Field], depth: usize, parts: &mut Parts<'_>) {
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
            let mark = parts.marked.iter().position(|marked| *marked == field.path);
            if let Some(mark) = mark {
                parts.part(Part::Begin(mark));
            }
            if parts.other_field == Some(&field.path) {
                parts.end();
                parts.other = Some(parts.parts.len());
            }
            value(kind, &field.value, parts);
            if let Some(mark) = mark {
                parts.part(Part::End(mark));
            }
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

fn value(kind: &Kind, value: &Value, parts: &mut Parts<'_>) {
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
