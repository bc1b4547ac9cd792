//! Why a store didn't do what it was asked for.

use std::fmt;
use std::sync::Arc;

/// What kind of failure it is, and with it what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// It is away, too slow, throttles, or fails over: the pipe pauses and tries again.
    Away,
    /// It takes no more writes (memory or table limit): the pipe pauses and tries again.
    Full,
    /// It no longer has what this worker put there: join again; reported, never silent.
    Lost,
    /// The batch is no longer open: it was taken over. The batch must be withdrawn.
    NotOpen,
    /// It can't be relied on, or belongs to something else (eviction policy, version, another
    /// secret or definition, no such table, no right): the pipe stops with a message.
    Refused,
}

/// A failure of a store.
#[derive(Clone, Debug)]
pub struct StoreError {
    /// What kind it is.
    pub fault: StoreFault,
    /// Where; without credentials.
    pub place: Arc<str>,
    /// What happened, and for [`StoreFault::Refused`] the way out.
    pub what: Arc<str>,
}

impl StoreError {
    /// A failure at `place`.
    #[must_use]
    pub fn new(fault: StoreFault, place: &str, what: impl fmt::Display) -> Self {
        Self { fault, place: place.into(), what: what.to_string().into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.fault {
            StoreFault::Away => "can't be reached",
            StoreFault::Full => "takes no more keys",
            StoreFault::Lost => "lost what was in it",
            StoreFault::NotOpen => "gave the batch's keys to another worker",
            StoreFault::Refused => "can't be used",
        };
        write!(f, "the store {} {how}: {}", self.place, self.what)
    }
}

impl std::error::Error for StoreError {}
