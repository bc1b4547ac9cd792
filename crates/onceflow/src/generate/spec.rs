//! What to generate, checked: no value in here needs a second look.

/// What a config file says.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Event time of the first event; ms since the Unix epoch.
    pub(crate) start_ms: i64,
    /// Event time between two events; ns.
    pub(crate) interval_ns: u64,
    /// The kinds of events, at least one, with a weight above 0 in sum.
    pub(crate) kinds: Vec<Kind>,
    /// The fields that tell an event from every other; every kind has all of them. May be empty.
    pub(crate) key: Vec<FieldName>,
    /// What is different in a copy with another body; `None`: the last field that can differ.
    pub(crate) other_body: Option<FieldName>,
    /// How the JSON text is wrapped, in this order; mostly empty.
    pub(crate) encode: Vec<Encoding>,
}

/// The names on the way to a field, e.g. `["event_specifics", "language_id"]`; never empty.
pub(crate) type FieldName = Vec<String>;

/// How a payload is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Percent-encoded: all but letters, digits and `-._~`.
    Url,
    /// Base64 with padding.
    Base64,
}

/// Events of one type and subtype.
#[derive(Debug)]
pub(crate) struct Kind {
    /// `type`, or `type:subtype`.
    pub(crate) name: String,
    /// How often, compared to the others.
    pub(crate) weight: u64,
    /// Its fields in the order in which they are written.
    pub(crate) fields: Vec<Field>,
}

impl Kind {
    /// Whether its events have this field.
    pub(crate) fn has(&self, name: &FieldName) -> bool {
        self.fields.iter().any(|field| field.path == *name)
    }

    /// The field in which a copy with another body differs: the one that the spec names, where
    /// this kind has it, else the last one outside of the key that can differ.
    pub(crate) fn other_field<'a>(&'a self, spec: &Spec) -> Option<&'a FieldName> {
        let fits = |field: &&Field| field.value.can_differ() && !spec.key.contains(&field.path);
        let named = |field: &&Field| spec.other_body.as_ref() == Some(&field.path);
        let mut fitting = self.fields.iter().filter(fits);
        let found = fitting.clone().find(named).or_else(|| fitting.next_back());
        found.map(|field| &field.path)
    }
}

/// One field of an event.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Where it stands.
    pub(crate) path: FieldName,
    /// How its value is made.
    pub(crate) value: Value,
}

/// How a value is made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A random UUID, version 4.
    Uuid,
    /// The kind's name.
    EventName,
    /// The part of the kind's name before the colon.
    EventType,
    /// The part after it; the whole name if there is none.
    EventSubtype,
    /// The event's time; rises from event to event.
    Time(TimeFormat),
    /// 1, 2, 3, …
    Sequence,
    /// A whole number between the two, both included.
    Integer {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
    },
    /// A number with a fixed number of digits after the point; bounds times 10^digits.
    Decimal {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
        /// Digits after the point; 1 to 9.
        digits: u32,
    },
    /// `true` so often in 2^32.
    Chance(u64),
    /// One of these JSON values, with weights.
    Choice(Vec<(String, u64)>),
    /// Always this JSON value.
    Fixed(String),
    /// Text in which `#` becomes a digit and `?` a letter.
    Pattern(String),
    /// A name or place of the `fake` crate.
    Fake(Fake),
}

impl Value {
    /// Whether two events can differ in it.
    pub(crate) fn can_differ(&self) -> bool {
        match self {
            Value::Uuid | Value::Fake(_) => true,
            Value::Integer { min, max } | Value::Decimal { min, max, .. } => min < max,
            Value::Chance(of) => (1..1 << 32).contains(of),
            Value::Choice(choices) => {
                let mut possible = choices.iter().filter(|(_, weight)| *weight > 0);
                let first = possible.next();
                possible.any(|(json, _)| first.is_some_and(|(first, _)| first != json))
            }
            Value::Pattern(text) => text.contains(['#', '?']),
            // A time or a number in the stream belongs to the event, not to its body.
            Value::Time(_) | Value::Sequence => false,
            Value::EventName | Value::EventType | Value::EventSubtype | Value::Fixed(_) => false,
        }
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// Whole seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// `2026-11-01T08:00:00.000Z`.
    Rfc3339,
}

/// What the `fake` crate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fake {
    /// A first name.
    FirstName,
    /// A last name.
    LastName,
    /// Both.
    FullName,
    /// A user name.
    UserName,
    /// An e-mail address under a reserved domain.
    Email,
    /// A city.
    City,
    /// A country.
    Country,
    /// A street.
    Street,
    /// A company.
    Company,
    /// A few words.
    Sentence,
}

/// Ways to make a value that need nothing else said: `field: uuid`.
pub(crate) const PLAIN: [(&str, Value); 18] = [
    ("uuid", Value::Uuid),
    ("event_name", Value::EventName),
    ("event_type", Value::EventType),
    ("event_subtype", Value::EventSubtype),
    ("epoch_seconds", Value::Time(TimeFormat::EpochSeconds)),
    ("epoch_millis", Value::Time(TimeFormat::EpochMillis)),
    ("rfc3339", Value::Time(TimeFormat::Rfc3339)),
    ("sequence", Value::Sequence),
    ("first_name", Value::Fake(Fake::FirstName)),
    ("last_name", Value::Fake(Fake::LastName)),
    ("full_name", Value::Fake(Fake::FullName)),
    ("user_name", Value::Fake(Fake::UserName)),
    ("email", Value::Fake(Fake::Email)),
    ("city", Value::Fake(Fake::City)),
    ("country", Value::Fake(Fake::Country)),
    ("street", Value::Fake(Fake::Street)),
    ("company", Value::Fake(Fake::Company)),
    ("sentence", Value::Fake(Fake::Sentence)),
];

/// Ways to make a value that need an argument: `field: { integer: [1, 6] }`.
pub(crate) const WITH_ARGUMENT: [&str; 6] =
    ["integer", "decimal", "chance", "choice", "value", "pattern"];
