//! YAML → [`Spec`], with every mistake shown where it stands.

use std::path::Path;

use super::read_value::{self, json_number};
use super::spec::{Encoding, Field, FieldName, Kind, Spec};
use super::yaml::{self, ConfigErrors, Data, Name, Node, Place, Problems, SourceText, nearest};

/// Kinds of events (types times subtypes) at most.
const KINDS_MAX: usize = 10_000;
/// Fields of a kind of event at most.
const FIELDS_MAX: usize = 500;
/// A weight at most.
const WEIGHT_MAX: u64 = 1_000_000;
/// The first event's time, where the config says nothing: 2026-11-01T08:00:00Z.
const START_MS: i64 = 1_793_520_000_000;
const EVENTS_PER_SECOND: f64 = 1000.0;

const TOP: [&str; 7] =
    ["start", "events_per_second", "key", "other_body", "encode", "common", "types"];
const TYPE: [&str; 3] = ["weight", "fields", "subtypes"];
const SUBTYPE: [&str; 2] = ["weight", "fields"];

/// Reads a file of event types.
pub(crate) fn load(path: &Path, text: &str) -> Result<Spec, ConfigErrors> {
    let source = SourceText::new(path, text);
    let mut problems = Problems::new(&source);
    let documents = yaml::documents(&source, &|name| std::env::var(name).ok(), &mut problems);
    let top = Place { line: 1, column: 0, width: 0 };
    let mut spec = None;
    match documents.as_slice() {
        [document] => spec = Reader { problems: &mut problems }.spec(document),
        [] if problems.errors.is_empty() => {
            problems.add(top, "this file is empty").help("`types:` says what to generate");
        }
        [] => {}
        [_, second, ..] => {
            problems
                .add(second.place, "a second document begins here")
                .help("one file describes one stream of events: take the `---` out");
        }
    }
    let mut errors = problems.errors;
    errors.sort_by_key(|error| (error.line, error.column));
    match spec {
        Some(spec) if errors.is_empty() => Ok(spec),
        _ => Err(ConfigErrors { errors }),
    }
}

pub(super) type Pairs = [(Name, Node)];

pub(super) struct Reader<'r, 'p> {
    pub(super) problems: &'r mut Problems<'p>,
}

impl Reader<'_, '_> {
    fn spec(&mut self, document: &Node) -> Option<Spec> {
        let pairs = self.map(document, "a config for `generate`")?;
        self.known_keys(pairs, &TOP, "at the top");
        let start_ms = get(pairs, "start").map_or(Some(START_MS), |node| self.start(node));
        let per_second = match get(pairs, "events_per_second") {
            Some(node) => self.per_second(node),
            None => Some(EVENTS_PER_SECOND),
        };
        let common = match get(pairs, "common") {
            Some(node) => self.fields(node, &[]),
            None => Vec::new(),
        };
        let Some(types) = get(pairs, "types") else {
            self.problems
                .add(Place { width: 0, ..document.place }, "`types` is missing")
                .help("`types: { game: {} }` is the least");
            return None;
        };
        let kinds = self.types(types, &common)?;
        let key = match get(pairs, "key") {
            Some(node) => self.names(node, &kinds),
            None => Vec::new(),
        };
        let other_body = get(pairs, "other_body").and_then(|node| self.other_body(node, &kinds));
        if let (Some(name), Some(node)) = (&other_body, get(pairs, "other_body"))
            && key.contains(name)
        {
            let message = format!("`{}` is part of the key", name.join("."));
            self.problems
                .add(node.place, message)
                .help("a copy with another body has the same key: name another field");
        }
        let encode = get(pairs, "encode").map_or(Some(Vec::new()), |node| self.encode(node));
        Some(Spec {
            start_ms: start_ms?,
            interval_ns: (1e9 / per_second?) as u64,
            kinds,
            key,
            other_body,
            encode: encode?,
        })
    }

    /// The names of fields that every kind of event has: one, or a list of them.
    fn names(&mut self, node: &Node, kinds: &[Kind]) -> Vec<FieldName> {
        let nodes = match &node.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut names = Vec::new();
        for node in nodes {
            let Some(text) = scalar(node).filter(|text| !text.is_empty()) else {
                self.problems
                    .add(node.place, "`key` is a field's name, or a list of them")
                    .help("write `key: event_uuid`, or `key: [id, device.os]`");
                continue;
            };
            let name: FieldName = field_name(text);
            let lacks = |kind: &&Kind| kind.fields.iter().all(|field| field.path != name);
            match kinds.iter().find(lacks) {
                Some(kind) => {
                    let message = format!("`{}` has no field `{text}`", kind.name);
                    self.problems
                        .add(node.place, message)
                        .help("every type has every field of the key: put it under `common`");
                }
                None => names.push(name),
            }
        }
        names
    }

    fn other_body(&mut self, node: &Node, kinds: &[Kind]) -> Option<FieldName> {
        let name = scalar(node).map(field_name);
        let fields = kinds.iter().flat_map(|kind| &kind.fields);
        let differs =
            |field: &Field| Some(&field.path) == name.as_ref() && field.value.can_differ();
        if fields.clone().any(differs) {
            return name;
        }
        self.problems
            .add(node.place, "`other_body` is a field that isn't always the same")
            .help("a copy with another body differs from its original in this field");
        None
    }

    fn encode(&mut self, node: &Node) -> Option<Vec<Encoding>> {
        let nodes = match &node.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let one = |node| match scalar(node) {
            Some("url") => Some(Encoding::Url),
            Some("base64") => Some(Encoding::Base64),
            _ => None,
        };
        let found: Option<Vec<Encoding>> = nodes.iter().map(one).collect();
        if found.is_none() {
            self.problems
                .add(node.place, "`encode` is a list of `url` and `base64`")
                .help("`encode: [url]` percent-encodes each event's JSON; leave it out for JSON");
        }
        found
    }

    /// The pairs of a map; anything else is reported.
    pub(super) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Pairs> {
        match &node.data {
            Data::Map(pairs) => Some(pairs),
            _ if is_null(node) => Some(&[]),
            _ => {
                self.problems
                    .add(node.place, format!("{what} is a map"))
                    .help("write `name: …` lines below it, or `{ name: … }`");
                None
            }
        }
    }

    fn known_keys(&mut self, pairs: &Pairs, known: &[&str], place: &str) {
        for (name, _) in pairs.iter().filter(|(name, _)| !known.contains(&name.text.as_str())) {
            let error = self.problems.add(name.place, format!("unknown key `{}`", name.text));
            match nearest(&name.text, known.iter().copied()) {
                Some(meant) => error.help(format!("did you mean `{meant}`?")),
                None => error.help(format!("{place} there are: {}", known.join(", "))),
            };
        }
    }

    fn start(&mut self, node: &Node) -> Option<i64> {
        let time = scalar(node).and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if time.is_none() {
            self.problems
                .add(node.place, "`start` is a time")
                .help("write it like 2026-11-01T08:00:00Z");
        }
        time.map(jiff::Timestamp::as_millisecond)
    }

    fn per_second(&mut self, node: &Node) -> Option<f64> {
        let rate = scalar(node).and_then(|text| text.parse::<f64>().ok());
        let rate = rate.filter(|rate| (0.001..=1e9).contains(rate));
        if rate.is_none() {
            self.problems
                .add(node.place, "`events_per_second` is a number from 0.001 to 1000000000")
                .help(
                    "it says how far apart the events' times are; the output is as fast as it goes",
                );
        }
        rate
    }

    fn types(&mut self, node: &Node, common: &[Field]) -> Option<Vec<Kind>> {
        let pairs = self.map(node, "`types`")?;
        let mut kinds = Vec::new();
        for (name, node) in pairs {
            self.event_type(name, node, common, &mut kinds);
        }
        if kinds.len() > KINDS_MAX {
            let message = format!("more than {KINDS_MAX} types and subtypes");
            self.problems.add(node.place, message).help("no app has that many: leave some out");
        }
        if kinds.iter().all(|kind| kind.weight == 0) && self.problems.errors.is_empty() {
            let help = "`types: { game: {} }` is the least";
            let message = if kinds.is_empty() { "no type of event" } else { "every weight is 0" };
            self.problems.add(node.place, message).help(help);
        }
        Some(kinds)
    }

    fn event_type(&mut self, name: &Name, node: &Node, common: &[Field], kinds: &mut Vec<Kind>) {
        self.kind_name(name);
        // `game: 3` is short for `game: { weight: 3 }`.
        if scalar(node).is_some() && !is_null(node) {
            let weight = self.weight(node).unwrap_or(1);
            kinds.push(Kind { name: name.text.clone(), weight, fields: common.to_vec() });
            return;
        }
        let Some(pairs) = self.map(node, &format!("the type `{}`", name.text)) else { return };
        self.known_keys(pairs, &TYPE, "a type knows:");
        let weight = get(pairs, "weight").map_or(Some(1), |node| self.weight(node)).unwrap_or(1);
        let fields = match get(pairs, "fields") {
            Some(node) => self.fields(node, common),
            None => common.to_vec(),
        };
        let Some(subtypes) = get(pairs, "subtypes") else {
            kinds.push(Kind { name: name.text.clone(), weight, fields });
            return;
        };
        let Some(pairs) = self.map(subtypes, "`subtypes`") else { return };
        let first = kinds.len();
        for (subtype, node) in pairs {
            self.kind_name(subtype);
            let (weight, fields) = self.subtype(subtype, node, &fields);
            kinds.push(Kind { name: format!("{}:{}", name.text, subtype.text), weight, fields });
        }
        // A type's weight is shared out among its subtypes.
        let of_type = kinds.get_mut(first..).unwrap_or(&mut []);
        let sum: u64 = of_type.iter().map(|kind| kind.weight).sum();
        for kind in of_type {
            kind.weight = kind.weight * weight * 1_000_000 / sum.max(1);
        }
    }

    fn subtype(&mut self, name: &Name, node: &Node, of_type: &[Field]) -> (u64, Vec<Field>) {
        if scalar(node).is_some() && !is_null(node) {
            return (self.weight(node).unwrap_or(1), of_type.to_vec());
        }
        let what = format!("the subtype `{}`", name.text);
        let Some(pairs) = self.map(node, &what) else { return (1, Vec::new()) };
        self.known_keys(pairs, &SUBTYPE, "a subtype knows:");
        let weight = get(pairs, "weight").map_or(Some(1), |node| self.weight(node)).unwrap_or(1);
        let fields = match get(pairs, "fields") {
            Some(node) => self.fields(node, of_type),
            None => of_type.to_vec(),
        };
        (weight, fields)
    }

    fn kind_name(&mut self, name: &Name) {
        if name.text.is_empty() || name.text.contains(':') {
            self.problems
                .add(name.place, "a type's name has at least one character, and no `:`")
                .help("the event's name is `type:subtype`; subtypes stand under `subtypes`");
        }
    }

    pub(super) fn weight(&mut self, node: &Node) -> Option<u64> {
        let weight = scalar(node).and_then(|text| text.parse::<u64>().ok());
        let weight = weight.filter(|weight| *weight <= WEIGHT_MAX);
        if weight.is_none() {
            self.problems
                .add(node.place, format!("a weight is a whole number from 0 to {WEIGHT_MAX}"))
                .help("a weight of 2 comes twice as often as a weight of 1");
        }
        weight
    }

    /// `inherited` with the fields of `node`: a path that is there already keeps its place.
    fn fields(&mut self, node: &Node, inherited: &[Field]) -> Vec<Field> {
        let mut fields = inherited.to_vec();
        let Some(pairs) = self.map(node, "a list of fields") else { return fields };
        for (name, node) in pairs {
            let path = field_name(&name.text);
            if path.iter().any(String::is_empty) {
                self.problems
                    .add(name.place, format!("`{}` isn't a field's name", name.text))
                    .help("`a.b` is the field b inside the object a");
                continue;
            }
            let Some(value) = read_value::value(self, node) else { continue };
            if let Some(same) = fields.iter_mut().find(|field| field.path == path) {
                same.value = value;
                continue;
            }
            let inside =
                |field: &&Field| field.path.starts_with(&path) || path.starts_with(&field.path);
            if let Some(other) = fields.iter().find(inside) {
                let (other, this) = (other.path.join("."), &name.text);
                self.problems
                    .add(name.place, format!("`{this}` and `{other}` can't both be there"))
                    .help("a field holds a value or an object, not both");
                continue;
            }
            fields.push(Field { path, value });
        }
        if fields.len() > FIELDS_MAX {
            self.problems
                .add(node.place, format!("more than {FIELDS_MAX} fields in one event"))
                .help("leave some out");
        }
        fields
    }
}

/// `a.b` is the field b in the object a.
pub(crate) fn field_name(text: &str) -> FieldName {
    text.split('.').map(str::to_owned).collect()
}

/// The value of a key.
pub(super) fn get<'n>(pairs: &'n Pairs, key: &str) -> Option<&'n Node> {
    pairs.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
}

/// Whether there is nothing, `~` or `null`.
fn is_null(node: &Node) -> bool {
    matches!(&node.data, Data::Scalar(scalar) if scalar.is_null())
}

/// The text of a scalar.
pub(super) fn scalar(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Scalar(scalar) => Some(scalar.text.trim()),
        _ => None,
    }
}

/// A scalar as JSON: text in quotes is text, `3`, `true` and `null` are what they look like.
pub(super) fn json(node: &Node) -> Option<String> {
    let Data::Scalar(scalar) = &node.data else { return None };
    let plain = scalar.plain.then_some(scalar.text.as_str());
    Some(match plain {
        Some(text @ ("true" | "false")) => text.to_owned(),
        _ if scalar.is_null() => "null".to_owned(),
        Some(text) if json_number(text) => text.to_owned(),
        _ => super::names::json(&scalar.text),
    })
}
