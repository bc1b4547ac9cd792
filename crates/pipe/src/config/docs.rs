//! The table of keys as a page for people: `docs/config.md`.

use std::fmt::Write;

use super::keys::PIPE;
use super::table::{Key, Kind, Table, Word};
use super::unit::{show_duration, show_size};

const INTRODUCTION: &str = "\
# Config

<!-- Made from the code by `UPDATE_DOCS=1 cargo test -p pipe config`: changes here are lost. -->

A config is YAML. A document is a pipe; several documents, divided by `---`, and several files make
up a run. The smallest pipe:

```yaml
pipe: app
source: { file: { path: app.ndjson } }
dedup: { key: $.event_uuid, window: 10m }
sink: { file: { path: out.ndjson } }
```

`onceflow check PIPE.yaml` shows what is wrong, all of it, with line, caret and a way out.
`onceflow schema` prints a JSON Schema, with which editors complete and check a config. Nothing is
silently ignored: an unknown key is an error, and so is a known one that isn't built yet.

- **Paths** are relative to the file that they stand in.
- **Variables**: `${NAME}` in a value is the environment variable; one that isn't set is an error.
  `$${` stands for a plain `${`. A variable's text is never read as YAML.
- **Durations**: `200ms`, `20s`, `10m`, `1h30m`, `1d`. Units `d`, `h`, `m`, `s`, `ms`, `us`, `ns`,
  longest first.
- **Sizes**: `64KiB`, `16MiB`, `1GiB` count in 1024s, `1MB`, `1GB` in 1000s; a bare number is bytes.
- **Field paths** begin with `$`: `$.user.id`, `$.items[0].sku`, `$['odd name']`. Inside `{ }` and
  `[ ]` one with an index needs quotes: YAML takes the bracket for its own.
";

/// The page `docs/config.md`: every key with its kind, bounds, default and meaning.
#[must_use]
pub fn docs_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut tables = Vec::new();
    collect(&PIPE, &mut tables);
    for table in tables {
        section(table, &mut page);
    }
    page
}

/// A table and the ones below it, each once.
fn collect(table: &'static Table, found: &mut Vec<&'static Table>) {
    if found.iter().any(|other| other.path == table.path) {
        return;
    }
    found.push(table);
    for key in table.keys {
        below(&key.kind, found);
    }
}

fn below(kind: &Kind, found: &mut Vec<&'static Table>) {
    match kind {
        Kind::Map(table) | Kind::MapOr(table, _) | Kind::OneOf(table) | Kind::KeyPart(table) => {
            collect(table, found);
        }
        Kind::List { of, .. } | Kind::ByType { of, .. } => below(of, found),
        _ => {}
    }
}

fn section(table: &Table, page: &mut String) {
    let title =
        if table.path.is_empty() { "A pipe".to_owned() } else { format!("`{}`", table.path) };
    let level = if table.path.contains('.') { "###" } else { "##" };
    // Writing to a String can't fail.
    let _ = writeln!(page, "\n{level} {title}\n\n{}\n", table.doc);
    page.push_str("| key | value | default | |\n| --- | --- | --- | --- |\n");
    for key in table.keys.iter().filter(|key| key.later.is_none()) {
        let name = key.name;
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} | {} |",
            value(&key.kind),
            default(key, table),
            key.doc
        );
    }
    words(table, page);
    if table.keys.iter().any(|key| matches!(key.kind, Kind::List { of: Kind::KeyPart(_), .. })) {
        page.push_str("\nWords of `key`; each stands alone:\n\n");
        for (word, doc) in super::key::KEY_WORDS {
            let _ = writeln!(page, "- `{word}`: {doc}");
        }
    }
    let later: Vec<String> = table
        .keys
        .iter()
        .filter(|key| key.later.is_some() && !key.never)
        .map(|key| format!("`{}`", key.name))
        .collect();
    if !later.is_empty() {
        let _ = writeln!(page, "\nNot built yet: {}.", later.join(", "));
    }
}

/// The words of a key, if it takes words.
fn words_of(key: &Key) -> &'static [Word] {
    match key.kind {
        Kind::Word(words) => words,
        Kind::List { of: Kind::Word(words), .. } => words,
        _ => &[],
    }
}

/// What the words of a table's keys mean. Keys with the same words are explained together.
fn words(table: &Table, page: &mut String) {
    for (index, key) in table.keys.iter().enumerate() {
        let words = words_of(key);
        let names = |words: &'static [Word]| words.iter().map(|word| word.name);
        let same = |other: &&Key| names(words_of(other)).eq(names(words));
        let explained = table.keys.iter().take(index).any(|other| same(&other));
        if words.is_empty() || explained {
            continue;
        }
        let names: Vec<String> =
            table.keys.iter().filter(same).map(|key| format!("`{}`", key.name)).collect();
        let _ = writeln!(page, "\nValues of {}:\n", names.join(" and "));
        for word in words.iter().filter(|word| word.later.is_none()) {
            let _ = writeln!(page, "- `{}`: {}", word.name, word.doc);
        }
        let later = words.iter().filter(|word| word.later.is_some());
        let later: Vec<String> = later.map(|word| format!("`{}`", word.name)).collect();
        if !later.is_empty() {
            let _ = writeln!(page, "- not built yet: {}", later.join(", "));
        }
    }
}

fn default(key: &Key, table: &Table) -> String {
    match (key.default, key.default_in_words) {
        (Some(default), _) => format!("`{default}`"),
        (None, Some(words)) => words.to_owned(),
        _ if key.required => match key.example {
            Some(example) => format!("**required**, like `{example}`"),
            None => "**required**".to_owned(),
        },
        _ if table.exactly_one_of.contains(&key.name) => {
            format!("**required**: exactly one of `{}`", table.exactly_one_of.join("`, `"))
        }
        _ => String::new(),
    }
}

/// What a key may hold, in a few words.
fn value(kind: &Kind) -> String {
    match kind {
        Kind::Name => "name: 1 to 64 of `a-z`, `0-9`, `_`, `-`".to_owned(),
        Kind::Text { chars_max } => format!("text, at most {chars_max} characters"),
        Kind::FieldName => "name of a field".to_owned(),
        Kind::LocalPath => "path".to_owned(),
        Kind::FieldPath => "field path".to_owned(),
        Kind::KeyPart(table) => {
            let words: Vec<String> =
                super::key::KEY_WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
            format!(
                "field path, {}, or map: [`{}`](#{})",
                words.join(", "),
                table.path,
                anchor(table)
            )
        }
        Kind::Window { min, max } => {
            format!("`forever`, or duration, {} to {}", show_duration(*min), show_duration(*max))
        }
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Count { min, max } => format!("number, {min} to {max}"),
        Kind::Size { min, max } => format!("size, {} to {}", show_size(*min), show_size(*max)),
        Kind::Duration { min, max } => {
            format!("duration, {} to {}", show_duration(*min), show_duration(*max))
        }
        Kind::Range { min, max } => format!(
            "range of durations, {} to {}, like `200ms..30s`",
            show_duration(*min),
            show_duration(*max)
        ),
        Kind::Rate { max } => format!("a second, like `100/s`; 1 to {max}"),
        Kind::Secret { chars_max } => {
            format!("text, at most {chars_max} characters; never shown")
        }
        Kind::Url => "`http://` or `https://` address; never shown".to_owned(),
        Kind::Headers { max } => format!("map from names to values; at most {max}"),
        Kind::Word(words) => {
            let built = words.iter().filter(|word| word.later.is_none());
            let names: Vec<String> = built.map(|word| format!("`{}`", word.name)).collect();
            names.join(", ")
        }
        Kind::Map(table) => format!("map: [`{0}`](#{1})", table.path, anchor(table)),
        Kind::MapOr(table, short) => {
            let alone = table.key(short).map(|key| value(&key.kind)).unwrap_or_default();
            format!("{alone}, or map: [`{0}`](#{1})", table.path, anchor(table))
        }
        Kind::OneOf(table) => format!("one of [`{0}`](#{1})", table.path, anchor(table)),
        Kind::List { of, min, max, or_one, or_text } => {
            let one = match (or_one, or_text) {
                (true, _) => "one, or ",
                (_, Some(_)) => "text, or ",
                _ => "",
            };
            format!("{one}list of {min} to {max}: {}", value(of))
        }
        Kind::ByType { of, max } => format!("map from type to {}; at most {max}", value(of)),
        Kind::Pattern => "event pattern".to_owned(),
        Kind::Json => "any value".to_owned(),
        Kind::Anything => String::new(),
    }
}

/// The anchor that Markdown gives a table's heading.
fn anchor(table: &Table) -> String {
    table.path.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect()
}
