//! The config after the table has been applied to it: every value has its type and stands in its
//! bounds, defaults are filled in. What depends on several keys at once is checked after this.

use std::fmt::Write;
use std::time::Duration;

use event::path::FieldPath;

use super::key::KeyPart;
use super::place::Place;
use super::table::{Key, Table};
use super::yaml::Node;

/// A value and where it stands; a default stands where its map's name does.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// Where it stands.
    pub(crate) place: Place,
    /// The value.
    pub(crate) value: Value,
}

/// A checked value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Reported already.
    Bad,
    /// Text, a name, a path in the file system.
    Text(String),
    /// True or false.
    Flag(bool),
    /// A number, or bytes.
    Count(u64),
    /// A length of time.
    Duration(Duration),
    /// The lesser and the greater of two lengths of time.
    Range(Duration, Duration),
    /// A path to a field.
    Path(FieldPath),
    /// A part of a key.
    KeyPart(KeyPart),
    /// One of the words that the table lists.
    Word(&'static str),
    /// A list.
    List(Vec<Checked>),
    /// A map with the keys of a table.
    Section(Section),
    /// Values by event type or pattern of types, or by header, with the place of each name.
    ByType(Vec<(String, Place, Checked)>),
    /// As it was written.
    Node(Node),
}

/// A map with the keys of a table.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Where its name stands.
    pub(crate) place: Place,
    /// Its table.
    pub(crate) table: &'static Table,
    /// What was written, and defaults.
    pub(crate) entries: Vec<Entry>,
}

/// One key of a section.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: &'static Key,
    /// Where its name stands; `None` for a default.
    pub(crate) name: Option<Place>,
    /// Its value.
    pub(crate) checked: Checked,
}

/// Keys of a pipe that don't change what becomes of an event.
const ASIDE: [&str; 2] = ["tests", "alarms"];

impl Section {
    /// The entry of a key, default included.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        debug_assert!(self.table.key(key).is_some(), "`{key}` isn't in `{}`", self.table.path);
        self.entries.iter().find(|entry| entry.key.name == key)
    }

    /// The value of a key, default included. `None`: not there, or reported already.
    fn value(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|entry| &entry.checked.value)
    }

    /// Where a value stands that was written, or its key's map.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        self.entry(key).map_or(self.place, |entry| entry.checked.place)
    }

    /// Whether the key was written.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|entry| entry.name.is_some())
    }

    /// Where the name of a key stands that was written, or its map's.
    pub(crate) fn name_of(&self, key: &str) -> Place {
        self.entry(key).and_then(|entry| entry.name).unwrap_or(self.place)
    }

    /// Whether the key is there and was found wrong.
    pub(crate) fn is_bad(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Bad))
    }

    /// Text, a name, a path in the file system.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A number, or bytes.
    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// A length of time.
    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        match self.value(key)? {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// Two lengths of time.
    pub(crate) fn range(&self, key: &str) -> Option<(Duration, Duration)> {
        match self.value(key)? {
            Value::Range(least, most) => Some((*least, *most)),
            _ => None,
        }
    }

    /// A path to a field.
    pub(crate) fn path(&self, key: &str) -> Option<&FieldPath> {
        match self.value(key)? {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    /// One of the table's words.
    pub(crate) fn word(&self, key: &str) -> Option<&'static str> {
        match self.value(key)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// A list.
    pub(crate) fn list(&self, key: &str) -> Option<&[Checked]> {
        match self.value(key)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// A list of field paths; `None` if one of them is wrong.
    pub(crate) fn paths(&self, key: &str) -> Option<Vec<FieldPath>> {
        let path = |item: &Checked| match &item.value {
            Value::Path(path) => Some(path.clone()),
            _ => None,
        };
        self.list(key)?.iter().map(path).collect()
    }

    /// A map.
    pub(crate) fn section(&self, key: &str) -> Option<&Section> {
        match self.value(key)? {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }

    /// A map, if the table has the key at all.
    pub(crate) fn section_if(&self, key: &str) -> Option<&Section> {
        self.table.key(key).and_then(|_| self.section(key))
    }

    /// Values by event type, or by name.
    pub(crate) fn by_type(&self, key: &str) -> Option<&[(String, Place, Checked)]> {
        match self.value(key)? {
            Value::ByType(values) => Some(values),
            _ => None,
        }
    }

    /// What was written, for what another part reads.
    pub(crate) fn node(&self, key: &str) -> Option<&Node> {
        match self.value(key)? {
            Value::Node(node) => Some(node),
            _ => None,
        }
    }

    /// Writes the section so that two configs that mean the same give the same text: defaults
    /// filled in, keys in the table's order, units in their smallest, no comments, no places.
    pub(crate) fn canonical(&self, out: &mut String) {
        out.push('{');
        for key in self.table.keys.iter().filter(|key| !ASIDE.contains(&key.name)) {
            if let Some(entry) = self.entry(key.name) {
                let _ = write!(out, "{}=", key.name); // writing to a String can't fail
                entry.checked.value.canonical(out);
            }
        }
        out.push('}');
    }
}

impl Value {
    fn canonical(&self, out: &mut String) {
        let _ = match self {
            Value::Bad => Ok(()),
            Value::Text(text) => write!(out, "{text:?};"),
            Value::Flag(flag) => write!(out, "{flag};"),
            Value::Count(count) => write!(out, "{count};"),
            Value::Duration(duration) => write!(out, "{}ns;", duration.as_nanos()),
            Value::Range(least, most) => {
                write!(out, "{}ns..{}ns;", least.as_nanos(), most.as_nanos())
            }
            Value::Path(path) => write!(out, "{path};"),
            Value::KeyPart(part) => write!(out, "{part};"),
            Value::Word(word) => write!(out, "{word};"),
            Value::List(items) => {
                out.push('[');
                items.iter().for_each(|item| item.value.canonical(out));
                write!(out, "]")
            }
            Value::Section(section) => {
                section.canonical(out);
                Ok(())
            }
            Value::ByType(values) => {
                let mut sorted: Vec<_> = values.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                for (name, _, checked) in sorted {
                    let _ = write!(out, "{name:?}=");
                    checked.value.canonical(out);
                }
                Ok(())
            }
            Value::Node(node) => match super::pattern::json(node) {
                Ok(json) => write!(out, "{json};"),
                Err(_) => Ok(()),
            },
        }; // writing to a String can't fail
    }
}
