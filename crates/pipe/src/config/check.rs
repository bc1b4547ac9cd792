//! Applies the table of keys to a document: unknown keys, types, units, bounds, what isn't built.

use super::place::Place;
use super::problem::Problems;
use super::scalar;
use super::section::{Checked, Entry, Section, Value};
use super::suggest;
use super::table::{Key, Kind, Table};
use super::yaml::{Data, Name, Node, Scalar};

/// What is being checked: its dotted name and where that name stands.
#[derive(Clone, Debug)]
pub(crate) struct At {
    /// `dedup.window`.
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) place: Place,
}

impl At {
    /// Whether texts below it may be secrets, also those that stand at the wrong place.
    fn is_secret(&self) -> bool {
        self.name.split('.').any(|part| part == "auth")
    }

    /// A value in words, for "must be …, but is …".
    fn describe(&self, node: &Node) -> String {
        match &node.data {
            Data::Scalar(scalar) if self.is_secret() && !scalar.is_null() => "text".to_owned(),
            _ => describe(node),
        }
    }
}

/// Checks a map against a table.
pub(crate) fn section(
    table: &'static Table,
    node: &Node,
    at: &At,
    problems: &mut Problems<'_>,
) -> Value {
    let Some(pairs) = pairs(node, at, table, problems) else { return Value::Bad };
    let mut section = Section { place: at.place, table, entries: Vec::new() };
    let mut incomplete = false;
    for (name, node) in pairs {
        let Some(key) = table.key(&name.text) else {
            unknown_key(table, name, at, problems);
            if at.is_secret() {
                problems.cover(node);
            }
            incomplete = true;
            continue;
        };
        section.entries.push(entry(key, name, node, at, problems));
    }
    missing(&section, if incomplete { pairs } else { &[] }, at, problems);
    for key in table.keys {
        if section.entry(key.name).is_none()
            && let Some(checked) = unwritten(key, at, problems)
        {
            section.entries.push(Entry { key, name: None, checked });
        }
    }
    Value::Section(section)
}

/// Reports keys that must be there and aren't. `unknown` holds keys that the table doesn't have:
/// what looks like a missing one isn't missing but misspelt.
fn missing(section: &Section, unknown: &[(Name, Node)], at: &At, problems: &mut Problems<'_>) {
    let table = section.table;
    let absent = |key: &Key| section.entry(key.name).is_none() && !misspelt(unknown, key, table);
    for key in table.keys.iter().filter(|key| key.required) {
        if absent(key) {
            missing_key(key, key.name, at, problems);
        }
    }
    let choice: Vec<&Key> =
        table.exactly_one_of.iter().filter_map(|name| table.key(name)).collect();
    if let Some(first) = choice.first()
        && choice.iter().all(|key| absent(key))
    {
        missing_key(first, &table.exactly_one_of.join("` or `"), at, problems);
    }
}

/// What a key holds that isn't there: its default, or a map of defaults.
fn unwritten(key: &'static Key, at: &At, problems: &mut Problems<'_>) -> Option<Checked> {
    if let Some(default) = key.default {
        return Some(default_value(key, default, at));
    }
    let Kind::Map(inner) = &key.kind else { return None };
    let fills = inner.keys.iter().any(|key| key.default.is_some());
    if key.required || key.on_request || !fills || inner.keys.iter().any(|key| key.required) {
        return None;
    }
    let empty = Node { place: at.place, data: Data::Map(Vec::new()) };
    Some(Checked { place: at.place, value: section(inner, &empty, at, problems) })
}

/// Whether one of the unknown keys looks like this one: then it isn't missing but misspelt.
fn misspelt(pairs: &[(Name, Node)], key: &Key, table: &Table) -> bool {
    pairs.iter().any(|(name, _)| {
        table.key(&name.text).is_none() && suggest::nearest(&name.text, [key.name]).is_some()
    })
}

/// The pairs of a map; nothing at all counts as an empty one.
fn pairs<'n>(
    node: &'n Node,
    at: &At,
    table: &Table,
    problems: &mut Problems<'_>,
) -> Option<&'n [(Name, Node)]> {
    match &node.data {
        Data::Map(pairs) => Some(pairs),
        Data::Scalar(scalar) if scalar.is_null() => Some(&[]),
        _ => {
            let message = format!("`{}` must be a map, but is {}", at.name, at.describe(node));
            let names = table.built_names().join("`, `");
            problems.add(node.place, message).help(format!("its keys: `{names}`"));
            if at.is_secret() {
                problems.cover(node);
            }
            None
        }
    }
}

fn entry(
    key: &'static Key,
    name: &Name,
    node: &Node,
    parent: &At,
    problems: &mut Problems<'_>,
) -> Entry {
    let at = below(parent, key.name, name.place);
    let value = match key.later {
        Some(instead) => {
            let what = if key.never { "has no meaning" } else { "isn't built yet" };
            problems.add(name.place, format!("`{}` {what}", at.name)).help(instead);
            Value::Bad
        }
        None => value(&key.kind, node, &at, problems),
    };
    Entry { key, name: Some(name.place), checked: Checked { place: node.place, value } }
}

/// A default, read the way a written value is.
fn default_value(key: &'static Key, default: &str, at: &At) -> Checked {
    let source = super::place::SourceText::new(std::path::Path::new(""), default);
    let mut problems = Problems::new(&source);
    let nodes = super::yaml::documents(&source, &|_| None, &mut problems);
    let value = nodes.first().map_or(Value::Bad, |node| value(&key.kind, node, at, &mut problems));
    debug_assert!(problems.errors.is_empty(), "{}: {:?}", key.name, problems.errors);
    Checked { place: at.place, value }
}

/// `dedup` and `window` make `dedup.window`.
pub(crate) fn below(parent: &At, name: &str, place: Place) -> At {
    let name =
        if parent.name.is_empty() { name.to_owned() } else { format!("{}.{name}", parent.name) };
    At { name, place }
}

fn value(kind: &Kind, node: &Node, at: &At, problems: &mut Problems<'_>) -> Value {
    if matches!(&node.data, Data::Scalar(scalar) if scalar.broken) {
        return Value::Bad;
    }
    match kind {
        Kind::Map(table) => section(table, node, at, problems),
        Kind::MapOr(table, short) => map_or(table, short, node, at, problems),
        Kind::OneOf(table) => one_of(table, node, at, problems),
        Kind::List { .. } => list(kind, node, at, problems),
        Kind::Headers { max } => headers(*max, node, at, problems),
        Kind::ByType { of, max } => by_type(of, *max, node, at, problems),
        Kind::KeyPart(table) => match &node.data {
            Data::Map(_) => section(table, node, at, problems),
            _ => match text(kind, node, at, problems) {
                Some(found) => scalar::value(kind, node, found, at, problems),
                None => Value::Bad,
            },
        },
        Kind::Pattern => match &node.data {
            Data::Map(_) => Value::Node(node.clone()),
            _ => {
                let message = format!("`{}` must be a map, but is {}", at.name, describe(node));
                problems
                    .add(spot(node, at), message)
                    .help("an event pattern, like `{ event_name: [{ prefix: \"game:\" }] }`");
                Value::Bad
            }
        },
        Kind::Json => Value::Node(node.clone()),
        Kind::Anything => Value::Bad,
        _ => match text(kind, node, at, problems) {
            Some(found) => scalar::value(kind, node, found, at, problems),
            None => Value::Bad,
        },
    }
}

/// The scalar that a kind wants, or an error.
fn text<'n>(
    kind: &Kind,
    node: &'n Node,
    at: &At,
    problems: &mut Problems<'_>,
) -> Option<&'n Scalar> {
    let wanted = scalar::wanted(kind);
    match &node.data {
        Data::Scalar(scalar) if scalar.is_null() => {
            let error = problems.add(at.place, format!("`{}` has no value", at.name));
            error.help(format!("write {wanted} after it, or take the key out"));
            None
        }
        Data::Scalar(scalar) => Some(scalar),
        _ => {
            let message = format!("`{}` must be {wanted}, but is {}", at.name, describe(node));
            if at.is_secret() {
                problems.cover(node);
            }
            let error = problems.add(spot(node, at), message);
            error.help(match &node.data {
                Data::List(_) => "write one value, without `[ ]` or `-`",
                _ if at.name.ends_with("window") => "windows by type go under `windows`",
                _ => "write the value alone",
            });
            None
        }
    }
}

fn map_or(
    table: &'static Table,
    short: &str,
    node: &Node,
    at: &At,
    problems: &mut Problems<'_>,
) -> Value {
    match &node.data {
        Data::Scalar(scalar) if !scalar.is_null() => {
            let name = Name { text: short.to_owned(), place: at.place };
            // The error of a short form names the key that was written.
            let Some(key) = table.key(short) else { return Value::Bad };
            let value = value(&key.kind, node, at, problems);
            let checked = Checked { place: node.place, value };
            let mut entries = vec![Entry { key, name: Some(name.place), checked }];
            for key in table.keys {
                if let Some(default) = key.default {
                    let checked = default_value(key, default, at);
                    entries.push(Entry { key, name: None, checked });
                }
            }
            Value::Section(Section { place: at.place, table, entries })
        }
        _ => section(table, node, at, problems),
    }
}

/// A map with exactly one key, or that key's name alone.
fn one_of(table: &'static Table, node: &Node, at: &At, problems: &mut Problems<'_>) -> Value {
    let pairs: Vec<(Name, Node)> = match &node.data {
        Data::Map(pairs) => pairs.clone(),
        Data::Scalar(scalar) if !scalar.is_null() && !at.is_secret() => {
            let name = Name { text: scalar.text.clone(), place: node.place };
            let data = Data::Map(Vec::new());
            vec![(name, Node { place: node.place, data })]
        }
        Data::Scalar(scalar) if scalar.is_null() => Vec::new(),
        _ => {
            let message = format!("`{}` must be a map, but is {}", at.name, at.describe(node));
            let help = match table.path {
                "sink" => second_help(table).to_owned(),
                _ => one_of_help(table),
            };
            problems.add(spot(node, at), message).help(help);
            if at.is_secret() {
                problems.cover(node);
            }
            return Value::Bad;
        }
    };
    if pairs.is_empty() {
        problems.add(at.place, format!("`{}` is empty", at.name)).help(one_of_help(table));
        return Value::Bad;
    }
    let known: Vec<&Name> =
        pairs.iter().map(|(name, _)| name).filter(|name| table.key(&name.text).is_some()).collect();
    let mut entries = Vec::new();
    let mut misplaced = false;
    for (name, node) in pairs.iter().filter(|(name, _)| table.key(&name.text).is_none()) {
        if at.is_secret() {
            problems.cover(node);
        }
        let inside = suggest::inside(table, &name.text);
        match known.iter().find(|outer| inside.contains(&outer.text.as_str())) {
            Some(outer) => {
                misplaced = true;
                let outer = &outer.text;
                let message = format!("`{}` doesn't belong here", name.text);
                problems
                    .add(name.place, message)
                    .help(format!("it is a key of `{outer}`: indent it below `{outer}:`"));
            }
            None => unknown_key(table, name, at, problems),
        }
    }
    if misplaced {
        return Value::Bad; // what is in the known one would seem incomplete
    }
    for (name, node) in &pairs {
        if let Some(key) = table.key(&name.text) {
            entries.push(entry(key, name, node, at, problems));
        }
    }
    let later = |entry: &Entry| entry.key.later.is_some();
    if let [first, second, ..] = known.as_slice()
        && !entries.iter().any(later)
    {
        let message = format!("`{}` has `{}` and `{}`", at.name, first.text, second.text);
        problems.add(second.place, message).help(second_help(table));
    }
    if entries.len() == 1 && pairs.len() == 1 {
        Value::Section(Section { place: at.place, table, entries })
    } else {
        Value::Bad
    }
}

fn second_help(table: &Table) -> &'static str {
    match table.path {
        "source" => "a pipe has one source; a second pipe with the same `dedup.scope` shares keys",
        "sink" => "several sinks go under `sinks:`, with `- ` before each",
        "sink.http.auth" => "a call shows one proof of who calls: keep one",
        _ => "one step in each entry: put `- ` before it",
    }
}

fn one_of_help(table: &Table) -> String {
    format!("name one of `{}`", table.built_names().join("`, `"))
}

fn list(kind: &Kind, node: &Node, at: &At, problems: &mut Problems<'_>) -> Value {
    let Kind::List { of, min, max, or_one, or_text } = kind else { return Value::Bad };
    let items = match &node.data {
        Data::List(items) => items.as_slice(),
        Data::Scalar(scalar) if scalar.is_null() => {
            let error = problems.add(at.place, format!("`{}` has no value", at.name));
            error.help("write a list, `[a, b]` or lines that begin with `- `");
            return Value::Bad;
        }
        Data::Scalar(scalar) if or_text.is_some() => {
            let kind = Kind::Text { chars_max: or_text.unwrap_or_default() };
            return scalar::value(&kind, node, scalar, at, problems);
        }
        Data::Scalar(_) if *or_one => std::slice::from_ref(node),
        Data::Map(_) if *or_one && matches!(of, Kind::KeyPart(_)) => std::slice::from_ref(node),
        _ => {
            let message = format!("`{}` must be a list, but is {}", at.name, describe(node));
            let error = problems.add(spot(node, at), message);
            error.help(match &node.data {
                Data::Scalar(scalar) => format!("write `[{}]`", scalar.text),
                _ => "put `- ` before each entry, or `[ ]` around them".to_owned(),
            });
            return Value::Bad;
        }
    };
    if items.len() < *min || items.len() > *max {
        let count = items.len();
        let entries = if count == 1 { "entry" } else { "entries" };
        let message = format!("`{}` has {count} {entries}, from {min} to {max} fit", at.name);
        let error = problems.add(spot(node, at), message);
        error.help(match items.len() {
            0 => "take the key out if it shall hold nothing",
            count if count < *min => "add the others",
            _ => "take some out",
        });
        return Value::Bad;
    }
    let check = |item: &Node, problems: &mut Problems<'_>| {
        let at = At { name: at.name.clone(), place: item.place };
        Checked { place: item.place, value: value(of, item, &at, problems) }
    };
    Value::List(items.iter().map(|item| check(item, problems)).collect())
}

/// A map from names to texts; what they may hold is checked where they are used.
fn headers(max: usize, node: &Node, at: &At, problems: &mut Problems<'_>) -> Value {
    let Data::Map(pairs) = &node.data else {
        let message = format!("`{}` must be a map, but is {}", at.name, describe(node));
        let example = "names and values, like `{ x-team: data }`";
        problems.add(spot(node, at), message).help(example);
        return Value::Bad;
    };
    if pairs.len() > max {
        let message = format!("`{}` has more than {max} entries", at.name);
        problems.add(at.place, message).help("take some out");
        return Value::Bad;
    }
    let mut found = Vec::new();
    for (name, node) in pairs {
        let at = At { name: format!("{}.{}", at.name, name.text), place: name.place };
        let value = value(&Kind::Secret { chars_max: 4096 }, node, &at, problems);
        found.push((name.text.clone(), name.place, Checked { place: node.place, value }));
    }
    Value::ByType(found)
}

fn by_type(of: &Kind, max: usize, node: &Node, at: &At, problems: &mut Problems<'_>) -> Value {
    let Data::Map(pairs) = &node.data else {
        let message = format!("`{}` must be a map, but is {}", at.name, describe(node));
        let example = "event types and durations, like `{ \"payment:*\": 1d }`";
        problems.add(spot(node, at), message).help(example);
        return Value::Bad;
    };
    if pairs.len() > max {
        problems
            .add(at.place, format!("`{}` has more than {max} entries", at.name))
            .help("a pattern, like `payment:*`, names many types at once");
        return Value::Bad;
    }
    let mut found = Vec::new();
    for (name, node) in pairs {
        if name.text.chars().all(|c| c == '*') {
            problems
                .add(name.place, format!("`{}` names no type", name.text))
                .help("`window` holds for all types that `windows` doesn't name");
        }
        let at = At { name: format!("{}.{}", at.name, name.text), place: name.place };
        let value = value(of, node, &at, problems);
        found.push((name.text.clone(), name.place, Checked { place: node.place, value }));
    }
    Value::ByType(found)
}

fn missing_key(key: &Key, names: &str, at: &At, problems: &mut Problems<'_>) {
    let whose = if at.name.is_empty() { "this pipe".to_owned() } else { format!("`{}`", at.name) };
    let error = problems.add(at.place, format!("{whose} needs `{names}`"));
    if let Some(example) = key.example {
        error.help(format!("add `{}: {example}`", key.name));
    }
}

fn unknown_key(table: &'static Table, name: &Name, at: &At, problems: &mut Problems<'_>) {
    let whose = if at.name.is_empty() { "a pipe".to_owned() } else { format!("`{}`", at.name) };
    let message = format!("{whose} has no key `{}`", name.text);
    let nearest = suggest::nearest(&name.text, table.keys.iter().map(|key| key.name));
    let error = problems.add(name.place, message);
    if name.text == "<<" {
        error.help("merging maps with `<<` isn't done: write the keys out");
    } else if let Some(nearest) = nearest {
        let later = table.key(nearest).is_some_and(|key| key.later.is_some() && !key.never);
        let note = if later { ", which isn't built yet" } else { "" };
        error.help(format!("did you mean `{nearest}`{note}?"));
    } else if let inside @ [first, ..] = suggest::inside(table, &name.text).as_slice() {
        let outer = inside.join("` and `");
        let inner = &name.text;
        error.help(format!("`{inner}` is a key of `{outer}`: `{first}: {{ {inner}: … }}`"));
    } else if let [one] = suggest::elsewhere(&name.text).as_slice() {
        let place = if one.is_empty() { "the pipe itself".to_owned() } else { format!("`{one}`") };
        error.help(format!("`{}` is a key of {place}", name.text));
    }
    error.help(format!("known keys: `{}`", table.built_names().join("`, `")));
}

/// Where an error about a whole value points: a map or list over several lines has no good spot of
/// its own, its name has.
fn spot(node: &Node, at: &At) -> Place {
    match &node.data {
        Data::Scalar(_) => node.place,
        _ if node.place.width > 0 && node.place.line == at.place.line => node.place,
        _ => at.place,
    }
}

/// A value in words, for "must be …, but is …".
pub(crate) fn describe(node: &Node) -> String {
    match &node.data {
        Data::Map(_) => "a map".to_owned(),
        Data::List(items) => format!("a list of {}", items.len()),
        Data::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
        Data::Scalar(scalar) => format!("`{}`", shorten(&scalar.text)),
    }
}

/// The beginning of a text, for a message.
pub(crate) fn shorten(text: &str) -> String {
    let line: String = text.chars().take_while(|c| !c.is_control()).take(40).collect();
    if line.len() < text.len() { format!("{line}…") } else { line }
}
