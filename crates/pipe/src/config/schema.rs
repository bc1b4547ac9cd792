//! The table of keys as JSON Schema, so that editors complete and check a config.

use serde_json::{Map, Value, json};

use super::keys::PIPE;
use super::table::{Key, Kind, Table};
use super::unit::{show_duration, show_size};

/// The JSON Schema (draft 2020-12) of one pipe: what `onceflow schema` prints.
///
/// It is made from the same table that the checker goes by. Keys that aren't built yet are left
/// out, so an editor marks them. It can't say everything that the checker knows: what depends on
/// several keys, bounds of durations and sizes, the syntax of field paths.
#[must_use]
pub fn schema() -> Value {
    let mut defs = Map::new();
    defs.insert(
        "variable".to_owned(),
        json!({
            "description": "An environment variable.",
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}",
        }),
    );
    defs.insert(
        "field_path".to_owned(),
        json!({ "type": "string", "pattern": r"^\$[.\[]|\$\{", "examples": ["$.user.id"] }),
    );
    let mut root = table(&PIPE, &mut defs);
    if let Value::Object(root) = &mut root {
        root.insert("$defs".to_owned(), Value::Object(defs));
    }
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Onceflow pipe",
    });
    merge(&mut whole, root);
    whole
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// A map with the keys of a table.
fn table(table: &Table, defs: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in table.keys.iter().filter(|key| key.later.is_none()) {
        properties.insert(key.name.to_owned(), self::key(key, defs));
    }
    let required: Vec<&str> =
        table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let nothing_needed = required.is_empty() && table.exactly_one_of.is_empty();
    let mut object = json!({
        "description": table.doc,
        "type": if nothing_needed { json!(["object", "null"]) } else { json!("object") },
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        merge(&mut object, json!({ "required": required }));
    }
    if !table.exactly_one_of.is_empty() {
        let ways: Vec<Value> =
            table.exactly_one_of.iter().map(|name| json!({ "required": [name] })).collect();
        merge(&mut object, json!({ "oneOf": ways }));
    }
    object
}

/// A map of which exactly one key is there, or that key's name if it needs nothing.
fn one_of(table: &Table, defs: &mut Map<String, Value>) -> Value {
    let mut object = self::table(table, defs);
    merge(&mut object, json!({ "type": "object", "minProperties": 1, "maxProperties": 1 }));
    let alone: Vec<&str> = table
        .keys
        .iter()
        .filter(|key| key.later.is_none())
        .filter(|key| match key.kind {
            Kind::Map(inner) => inner.keys.iter().all(|key| !key.required),
            _ => false,
        })
        .map(|key| key.name)
        .collect();
    if alone.is_empty() { object } else { json!({ "anyOf": [object, { "enum": alone }] }) }
}

/// A reference to a table's definition, which is added if it isn't there yet.
fn reference(
    path: &str,
    defs: &mut Map<String, Value>,
    build: impl FnOnce(&mut Map<String, Value>) -> Value,
) -> Value {
    let name = path.replace("[]", "");
    if !defs.contains_key(&name) {
        defs.insert(name.clone(), Value::Null);
        let built = build(defs);
        defs.insert(name.clone(), built);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn key(key: &Key, defs: &mut Map<String, Value>) -> Value {
    let mut schema = json!({ "description": key.doc });
    merge(&mut schema, kind(&key.kind, defs));
    if let Some(default) = key.default {
        merge(&mut schema, json!({ "default": default_value(&key.kind, default) }));
    }
    if let Some(example) = key.example
        && !matches!(key.kind, Kind::Map(_) | Kind::OneOf(_) | Kind::List { .. })
    {
        merge(&mut schema, json!({ "examples": [example.trim_matches('"')] }));
    }
    schema
}

fn default_value(kind: &Kind, default: &str) -> Value {
    match kind {
        Kind::Count { .. } | Kind::Flag => serde_json::from_str(default).unwrap_or_default(),
        Kind::List { .. } => json!([default.trim_matches(['[', ']'])]),
        _ => json!(default),
    }
}

fn or_variable(ways: impl IntoIterator<Item = Value>) -> Value {
    let mut ways: Vec<Value> = ways.into_iter().collect();
    ways.push(json!({ "$ref": "#/$defs/variable" }));
    json!({ "anyOf": ways })
}

fn kind(kind: &Kind, defs: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Name => {
            or_variable([json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$" })])
        }
        Kind::Text { chars_max } => {
            json!({ "type": "string", "minLength": 1, "maxLength": chars_max })
        }
        Kind::FieldName => {
            or_variable([json!({ "type": "string", "pattern": r#"^[^.\[\]'"\\$]+$"# })])
        }
        Kind::LocalPath => json!({ "type": "string", "minLength": 1 }),
        Kind::FieldPath => json!({ "$ref": "#/$defs/field_path" }),
        Kind::Flag => or_variable([json!({ "type": "boolean" })]),
        Kind::Count { min, max } => {
            or_variable([json!({ "type": "integer", "minimum": min, "maximum": max })])
        }
        Kind::Size { min, max } => or_variable([
            json!({ "type": "integer", "minimum": min, "maximum": max }),
            json!({
                "type": "string",
                "pattern": "^[0-9]+ ?(B|[kK]B|[MGT]B|[KMGT]iB)$",
                "description": format!("From {} to {}.", show_size(*min), show_size(*max)),
            }),
        ]),
        Kind::KeyPart(inner) => {
            let words = super::key::KEY_WORDS
                .map(|(word, doc)| json!({ "const": word, "description": doc }));
            let map = reference(inner.path, defs, |defs| table(inner, defs));
            let mut ways = vec![json!({ "$ref": "#/$defs/field_path" }), map];
            ways.extend(words);
            json!({ "anyOf": ways })
        }
        Kind::Window { min, max } => or_variable([
            json!({ "const": "forever", "description": "Without end." }),
            json!({
                "type": "string",
                "pattern": "^([0-9]+(d|h|ms|m|s|us|ns))+$",
                "description": format!("From {} to {}.", show_duration(*min), show_duration(*max)),
            }),
        ]),
        Kind::Duration { min, max } => or_variable([json!({
            "type": "string",
            "pattern": "^([0-9]+(d|h|ms|m|s|us|ns))+$",
            "description": format!("From {} to {}.", show_duration(*min), show_duration(*max)),
        })]),
        Kind::Range { min, max } => or_variable([json!({
            "type": "string",
            "pattern": r"^([0-9]+(d|h|ms|m|s|us|ns))+( ?\.\. ?([0-9]+(d|h|ms|m|s|us|ns))+)?$",
            "description": format!("From {} to {}.", show_duration(*min), show_duration(*max)),
        })]),
        Kind::Rate { max } => or_variable([
            json!({ "type": "integer", "minimum": 1, "maximum": max }),
            json!({ "type": "string", "pattern": "^[0-9]+( ?/s)?$" }),
        ]),
        Kind::Secret { chars_max } => {
            json!({ "type": "string", "minLength": 1, "maxLength": chars_max })
        }
        Kind::Url => {
            or_variable([json!({ "type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://." })])
        }
        Kind::Headers { max } => json!({
            "type": "object",
            "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 4096 },
            "maxProperties": max,
        }),
        Kind::Word(words) => or_variable(
            words
                .iter()
                .filter(|word| word.later.is_none())
                .map(|word| json!({ "const": word.name, "description": word.doc })),
        ),
        Kind::Map(inner) => reference(inner.path, defs, |defs| table(inner, defs)),
        Kind::MapOr(inner, short) => {
            let whole = reference(inner.path, defs, |defs| table(inner, defs));
            let alone = inner.key(short).map(|key| self::kind(&key.kind, defs));
            json!({ "anyOf": [alone.unwrap_or_default(), whole] })
        }
        Kind::OneOf(inner) => reference(inner.path, defs, |defs| one_of(inner, defs)),
        Kind::List { of, min, max, or_one, or_text } => {
            let item = self::kind(of, defs);
            let list = json!({
                "type": "array", "items": item, "minItems": min, "maxItems": max,
            });
            match (or_one, or_text) {
                (true, _) => json!({ "anyOf": [item, list] }),
                (_, Some(most)) => {
                    let text = json!({ "type": "string", "minLength": 1, "maxLength": most });
                    json!({ "anyOf": [text, list] })
                }
                _ => list,
            }
        }
        Kind::ByType { of, max } => json!({
            "type": "object",
            "additionalProperties": self::kind(of, defs),
            "maxProperties": max,
        }),
        Kind::Pattern => json!({ "type": "object", "minProperties": 1 }),
        Kind::Json | Kind::Anything => json!({}),
    }
}
