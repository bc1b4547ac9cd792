//! What makes two events the same, and for how long.

use std::time::Duration;

use super::envelope;
use super::key::{self, DedupKey};
use super::problem::Problems;
use super::section::{Section, Value};
use super::store::{self, StoreConfig};

/// What makes two events the same, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupConfig {
    /// What the key is made of.
    pub key: DedupKey,
    /// The scope; pipes that name the same one share their keys.
    pub scope: String,
    /// The window of types that `windows` doesn't name; 1 ms to 400 days, or [`Duration::MAX`]
    /// for ever.
    pub window: Duration,
    /// Windows by envelope type, as written. The exact name wins, then the pattern with most
    /// characters that aren't `*`; of several the longest window.
    pub windows: Vec<(TypePattern, Duration)>,
    /// Whether events of different types with one key are the same.
    pub across_types: bool,
    /// Which time counts.
    pub clock: ClockChoice,
    /// How far behind the newest event one may be and still be in time.
    pub lateness: Duration,
    /// What becomes of a later one.
    pub late: Late,
    /// Whether a duplicate starts the window of its key anew.
    pub refresh: bool,
    /// What becomes of an event without key.
    pub missing_key: MissingKey,
    /// What becomes of a duplicate with another body.
    pub on_other_body: OnOtherBody,
    /// What becomes of a copy of a dead event.
    pub on_duplicate_of_dead: OnDuplicateOfDead,
    /// How far ahead of the wall clock an event's time may be and still move the watermark.
    pub clock_ahead_max: Duration,
    /// Without events for this long, the watermark follows the wall clock.
    pub source_idle_max: Duration,
    /// What the scope's keys may take in memory; 16 MiB to 1 TiB.
    pub memory_bytes_max: u64,
    /// Where its keys are, when several workers share them; `None`: in the data folder.
    pub store: Option<StoreConfig>,
    /// With a store: for how long what was reserved is kept without a sign of life.
    pub lease: Duration,
}

/// Which event types a window is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypePattern {
    /// This type.
    Exact(String),
    /// Types that begin with this, never empty; written with a `*` at its end.
    Prefix(String),
    /// Types that a pattern with `*` for any characters fits, as written.
    Pattern(String),
}

/// Which time of an event counts for its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChoice {
    /// When Onceflow received it.
    Received,
    /// When the broker got it.
    Broker,
    /// When it happened, by the envelope.
    Event,
}

/// What becomes of an event that comes later than `lateness` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It is rejected.
    Reject,
    /// It is delivered, and marked.
    Pass,
    /// It becomes a dead letter.
    DeadLetter,
}

/// What becomes of a copy of a dead event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicateOfDead {
    /// One with the same body is a duplicate while the event would die again under the same
    /// config, else it is admitted; one with another body is admitted, and marked.
    #[default]
    Auto,
    /// Every copy is admitted.
    Admit,
    /// Every copy is a duplicate.
    Suppress,
}

/// What becomes of an event without key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKey {
    /// It is rejected.
    Reject,
    /// It is delivered without dedup, and marked.
    Pass,
    /// The whole body is its key.
    HashBody,
}

/// What becomes of a duplicate whose body isn't the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOtherBody {
    /// It is a duplicate like any other.
    Drop,
    /// It is delivered, and marked.
    Pass,
    /// It becomes a dead letter.
    DeadLetter,
}

impl TypePattern {
    fn of_text(text: &str) -> TypePattern {
        match text.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => TypePattern::Prefix(prefix.to_owned()),
            _ if text.contains('*') => TypePattern::Pattern(text.to_owned()),
            _ => TypePattern::Exact(text.to_owned()),
        }
    }
}

/// Builds `dedup`. `None`: there is none, or something in it is wrong.
pub(crate) fn build(
    pipe: &Section,
    name: Option<&str>,
    problems: &mut Problems<'_>,
) -> Option<DedupConfig> {
    let section = pipe.section("dedup")?;
    let windows = windows(section);
    check_types(pipe, section, problems);
    let clock = clock(pipe, section, problems);
    let key = key::build(pipe, section, problems);
    if let Some(key) = &key {
        check_body(key, section, problems);
    }
    let store = store::build(section, problems);
    Some(DedupConfig {
        key: key?,
        scope: match section.entry("scope") {
            Some(_) => section.text("scope")?.to_owned(),
            None => name?.to_owned(),
        },
        window: section.duration("window")?,
        windows: windows?,
        across_types: section.flag("across_types")?,
        clock: clock?,
        lateness: section.duration("lateness")?,
        on_duplicate_of_dead: match section.word("on_duplicate_of_dead")? {
            "admit" => OnDuplicateOfDead::Admit,
            "suppress" => OnDuplicateOfDead::Suppress,
            _ => OnDuplicateOfDead::Auto,
        },
        late: match section.word("late")? {
            "pass" => Late::Pass,
            "dead_letter" => Late::DeadLetter,
            _ => Late::Reject,
        },
        refresh: section.flag("refresh")?,
        missing_key: match section.word("missing_key")? {
            "pass" => MissingKey::Pass,
            "hash_body" => MissingKey::HashBody,
            _ => MissingKey::Reject,
        },
        on_other_body: match section.word("on_other_body")? {
            "pass" => OnOtherBody::Pass,
            "dead_letter" => OnOtherBody::DeadLetter,
            _ => OnOtherBody::Drop,
        },
        clock_ahead_max: section.duration("clock_ahead_max")?,
        source_idle_max: section.duration("source_idle_max")?,
        memory_bytes_max: section.count("memory_bytes_max")?,
        store: store?,
        lease: section.duration("lease")?,
    })
}

fn windows(section: &Section) -> Option<Vec<(TypePattern, Duration)>> {
    if section.entry("windows").is_none() {
        return Some(Vec::new());
    }
    let window = |value: &Value| match value {
        Value::Duration(window) => Some(*window),
        _ => None,
    };
    section
        .by_type("windows")?
        .iter()
        .map(|(name, _, checked)| Some((TypePattern::of_text(name), window(&checked.value)?)))
        .collect()
}

/// Windows by type without a type would silently do nothing.
fn check_types(pipe: &Section, section: &Section, problems: &mut Problems<'_>) {
    if let Some(entry) = section.entry("windows")
        && let Some(name) = entry.name
        && !envelope::names(pipe, "type")
    {
        problems
            .add(name, "`windows` go by the envelope's type, and `envelope.type` isn't set")
            .help("add `envelope: { type: $.event_name }` with the field that holds the type");
    }
}

fn clock(pipe: &Section, section: &Section, problems: &mut Problems<'_>) -> Option<ClockChoice> {
    let Some(entry) = section.entry("clock") else {
        let by_default =
            if reads_files(pipe) { ClockChoice::Received } else { ClockChoice::Broker };
        return Some(by_default);
    };
    let Value::Word(word) = entry.checked.value else { return None };
    match word {
        "broker" if reads_files(pipe) => {
            problems
                .add(entry.checked.place, "a file has no broker that gives a time")
                .help("`received`, or `event` for the time in the event itself");
            None
        }
        "event" if !envelope::names(pipe, "time") => {
            problems
                .add(entry.checked.place, "`clock: event` needs `envelope.time`")
                .help("add `envelope: { time: $.created_at }` with the field that holds the time");
            None
        }
        "event" => Some(ClockChoice::Event),
        "broker" => Some(ClockChoice::Broker),
        _ => Some(ClockChoice::Received),
    }
}

fn reads_files(pipe: &Section) -> bool {
    pipe.section("source").is_some_and(|source| source.entry("file").is_some())
}

/// Rules that never come to bear with a key: something else was meant.
fn check_body(key: &DedupKey, section: &Section, problems: &mut Problems<'_>) {
    let word = match key {
        DedupKey::Body => "body",
        DedupKey::RawBody => "raw_body",
        DedupKey::BrokerId => "broker_id",
        DedupKey::Fields(_) => return,
    };
    let bodies = matches!(key, DedupKey::Body | DedupKey::RawBody);
    if bodies && section.word("on_other_body").is_some_and(|rule| rule != "drop") {
        let place = section.place_of("on_other_body");
        problems
            .add(place, format!("with `key: {word}` events of one key have one body"))
            .help("take it out, or name the fields of `key` that must be the same");
    }
    let always = matches!(key, DedupKey::RawBody | DedupKey::BrokerId);
    if always && section.word("missing_key").is_some_and(|rule| rule != "reject") {
        let place = section.place_of("missing_key");
        problems
            .add(place, format!("with `key: {word}` no event lacks its key"))
            .help("take it out");
    }
}
