//! Logs: to standard error, quiet by default.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use console::last_run::MESSAGES_MAX;
use event::Clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::LogFormat;
use crate::progress::MovingLine;
use crate::test_clock::OffsetClock;

/// Warnings and errors of this run, for the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted(Arc<Mutex<Notes>>);

/// What was noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// How many warnings.
    pub(crate) warnings: u64,
    /// How many errors.
    pub(crate) errors: u64,
    /// The first of them: what went wrong first matters most.
    pub(crate) messages: Vec<String>,
}

impl Noted {
    /// What was noted so far.
    pub(crate) fn notes(&self) -> Notes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts logging. `verbose`: 0 warnings, 1 what happens, 2 details, 3 everything.
pub(crate) fn start(
    verbose: u8,
    format: LogFormat,
    clock: OffsetClock,
    moving: MovingLine,
) -> Noted {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let noted = Noted::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || {
            moving.clear();
            std::io::stderr()
        })
        .with_timer(ClockTime(clock))
        .with_target(verbose > 1)
        .with_ansi(false);
    let registry =
        tracing_subscriber::registry().with(noted.clone().with_filter(LevelFilter::WARN));
    // A second start, as tests in one process make it, keeps the first one's.
    let _ = match format {
        LogFormat::Text => registry.with(lines.with_filter(level)).try_init(),
        LogFormat::Json => registry.with(lines.json().with_filter(level)).try_init(),
    };
    noted
}

/// The program's own time, so that a shifted clock shows in every line.
struct ClockTime(OffsetClock);

impl FormatTime for ClockTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now_ms = self.0.now_ms();
        match jiff::Timestamp::from_millisecond(now_ms) {
            Ok(time) => write!(writer, "{time:.3}")?,
            Err(_) => write!(writer, "{now_ms}")?,
        }
        match self.0.offset_ms() {
            Some(offset_ms) => write!(writer, " (test clock {offset_ms:+} ms)"),
            None => Ok(()),
        }
    }
}

impl<S: Subscriber> Layer<S> for Noted {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *event.metadata().level() {
            Level::ERROR => notes.errors += 1,
            _ => notes.warnings += 1,
        }
        if notes.messages.len() < MESSAGES_MAX && !notes.messages.contains(&message.0) {
            notes.messages.push(message.0);
        }
    }
}

/// An event's text with its fields after it.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}{}", self.0);
        } else {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}
