//! How a key of the config is described: once, for the checker, the JSON Schema and the docs.

use std::time::Duration;

/// The keys of one map of the config.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where it stands, dotted: `dedup`, `source.file`. Empty for the pipe itself.
    pub(crate) path: &'static str,
    /// What it is for, one or two sentences.
    pub(crate) doc: &'static str,
    /// Its keys, in the order of the docs.
    pub(crate) keys: &'static [Key],
    /// Of these keys exactly one must be there; empty: no such rule.
    pub(crate) exactly_one_of: &'static [&'static str],
}

impl Table {
    /// A key by its name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of the keys that are built, for messages.
    pub(crate) fn built_names(&self) -> Vec<&'static str> {
        self.keys.iter().filter(|key| key.later.is_none()).map(|key| key.name).collect()
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, for the docs and for editors.
    pub(crate) doc: &'static str,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// What it is when it isn't there, as one would write it.
    pub(crate) default: Option<&'static str>,
    /// A default that isn't a fixed value, in words.
    pub(crate) default_in_words: Option<&'static str>,
    /// A value for messages and docs.
    pub(crate) example: Option<&'static str>,
    /// Refused: not built yet, or (`never`) without meaning here. What to do instead.
    pub(crate) later: Option<&'static str>,
    /// It has no meaning here, and never will.
    pub(crate) never: bool,
    /// A map of defaults doesn't stand in for it: without the key there is nothing.
    pub(crate) on_request: bool,
}

impl Key {
    /// An optional key.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Key {
        Key {
            name,
            doc,
            kind,
            required: false,
            default: None,
            default_in_words: None,
            example: None,
            later: None,
            never: false,
            on_request: false,
        }
    }

    /// A key that has no meaning here, and why.
    pub(crate) const fn never(name: &'static str, why: &'static str) -> Key {
        Key { never: true, ..Key::later(name, why) }
    }

    /// A key that is known but not built.
    pub(crate) const fn later(name: &'static str, instead: &'static str) -> Key {
        Key { later: Some(instead), ..Key::new(name, Kind::Anything, "") }
    }

    /// Makes it required, with a value to suggest.
    pub(crate) const fn required(self, example: &'static str) -> Key {
        Key { required: true, example: Some(example), ..self }
    }

    /// Gives it a value to suggest.
    pub(crate) const fn example(self, example: &'static str) -> Key {
        Key { example: Some(example), ..self }
    }

    /// Gives it a default.
    pub(crate) const fn default(self, default: &'static str) -> Key {
        Key { default: Some(default), ..self }
    }

    /// Makes what the map does depend on the key being there, whatever defaults it holds.
    pub(crate) const fn on_request(self) -> Key {
        Key { on_request: true, ..self }
    }

    /// Takes the default of a key that is `whose`, e.g. `the pipe's`.
    pub(crate) const fn inherited(self, whose: &'static str) -> Key {
        Key { default: None, default_in_words: Some(whose), ..self }
    }

    /// Gives it a default that depends on something.
    pub(crate) const fn default_in_words(self, words: &'static str) -> Key {
        Key { default_in_words: Some(words), ..self }
    }
}

/// What a key may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A name: 1 to 64 of `a-z`, `0-9`, `_`, `-`, beginning with a letter or digit.
    Name,
    /// Text of 1 to `chars_max` characters.
    Text {
        /// Most characters.
        chars_max: usize,
    },
    /// The plain name of a field, without `$.`.
    FieldName,
    /// A path in the file system.
    LocalPath,
    /// A path to a field of the event, like `$.a.b[0]`.
    FieldPath,
    /// A part of a key: a path to a field, a word of [`super::key::KEY_WORDS`], or a map with the
    /// keys of a table.
    KeyPart(&'static Table),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// Bytes.
    Size {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// A length of time.
    Duration {
        /// Least.
        min: Duration,
        /// Most.
        max: Duration,
    },
    /// A length of time, or `forever`, which is [`Duration::MAX`].
    Window {
        /// Least.
        min: Duration,
        /// Most but for `forever`.
        max: Duration,
    },
    /// Two lengths of time, `200ms..30s`; one alone stands for both.
    Range {
        /// Least.
        min: Duration,
        /// Most.
        max: Duration,
    },
    /// So many a second: `100/s`, or a plain number.
    Rate {
        /// Most.
        max: u64,
    },
    /// Text of 1 to `chars_max` characters that no message shows.
    Secret {
        /// Most characters.
        chars_max: usize,
    },
    /// An `http://` or `https://` address. No message shows it: some hold a secret.
    Url,
    /// A map from names of HTTP headers to their values.
    Headers {
        /// Most.
        max: usize,
    },
    /// One of some words.
    Word(&'static [Word]),
    /// A map with these keys.
    Map(&'static Table),
    /// A map with these keys, or only the value of the one named.
    MapOr(&'static Table, &'static str),
    /// A map with exactly one of these keys; its name alone if it needs nothing else.
    OneOf(&'static Table),
    /// A list.
    List {
        /// What it holds.
        of: &'static Kind,
        /// Least.
        min: usize,
        /// Most.
        max: usize,
        /// Whether a single value may stand for a list of one.
        or_one: bool,
        /// A text of so many characters may stand in place of the list.
        or_text: Option<usize>,
    },
    /// A map from event types (a name, or one with `*` for any characters) to values.
    ByType {
        /// What it holds.
        of: &'static Kind,
        /// Most.
        max: usize,
    },
    /// An event pattern: any map; the filter says what it means.
    Pattern,
    /// Any value, read as JSON; the part that uses it says what it means.
    Json,
    /// Not looked at: the key isn't built.
    Anything,
}

/// A word that a key may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// The word.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
    /// Known, not built yet: what to do instead.
    pub(crate) later: Option<&'static str>,
}

impl Word {
    /// A word that works.
    pub(crate) const fn new(name: &'static str, doc: &'static str) -> Word {
        Word { name, doc, later: None }
    }

    /// A word that is known but not built.
    pub(crate) const fn later(name: &'static str, instead: &'static str) -> Word {
        Word { name, doc: "", later: Some(instead) }
    }
}
