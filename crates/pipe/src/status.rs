//! How a running pipe stands, for whoever looks from outside.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use event::source::SourceStatus;

/// What a pipe is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It recovers.
    Starting,
    /// It reads.
    Running,
    /// Its source ended, or it was asked to stop.
    Ended,
    /// It can't go on, and why.
    Failed(String),
}

impl Phase {
    /// The word for it in metrics and pages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Failed(_) => "failed",
        }
    }
}

/// How a running pipe stands.
#[derive(Debug)]
pub struct PipeStatus {
    name: String,
    phase: Mutex<Phase>,
    source: OnceLock<Arc<SourceStatus>>,
}

impl PipeStatus {
    /// A pipe that starts.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), phase: Mutex::new(Phase::Starting), source: OnceLock::new() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How its source is; `None` before it is open, and for sources that say nothing.
    #[must_use]
    pub fn source(&self) -> Option<&Arc<SourceStatus>> {
        self.source.get()
    }

    pub(crate) fn opened(&self, source: Option<Arc<SourceStatus>>) {
        if let Some(source) = source {
            let _ = self.source.set(source); // a pipe is opened once
        }
    }

    pub(crate) fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}
