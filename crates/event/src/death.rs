//! Why an event could not be delivered, and what was tried.

/// One attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When; ms since the Unix epoch.
    pub at_ms: i64,
    /// The sink.
    pub sink: String,
    /// What it said. Empty: the sink has the event.
    pub error: String,
}

/// What an event died of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// The stage, e.g. `deliver`, `stage`, `transform`, `dedup`.
    pub stage: &'static str,
    /// Stable name of the error's kind, e.g. `http_400`, `too_large`, `panic`; a metric label.
    pub class: String,
    /// What was said, for a person.
    pub message: String,
    /// Whether it would die again under the same config (DESIGN §3 "When the original died").
    pub deterministic: bool,
    /// The sink that it died at; empty where it was none.
    pub sink: String,
    /// Which of the pipe's dead-letter stores takes its letter; 0 is that of the pipe itself.
    pub letters: u8,
    /// What was tried, oldest first; the last of them is what it died of.
    pub attempts: Vec<Attempt>,
}
