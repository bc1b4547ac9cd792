//! Where a pipe's events leave it: the config's sinks, and those that every pipe has beside them.

use event::sink::{Deliverer, NothingToPublish, Publisher, Sink};

use crate::config::{CircuitConfig, RetryConfig};

/// A place where events leave a pipe.
pub struct Outlet {
    /// Its name in the ledger.
    pub name: String,
    /// Which events it takes.
    pub takes: Takes,
    /// How it takes them.
    pub kind: OutletKind,
}

/// Which events an outlet takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Those whose [`event::Event::routes`] has the bit of this number; the outlet's own place.
    Routed(u8),
    /// Dead ones, by [`event::Death::letters`].
    Dead(u8),
    /// All that settle.
    Received,
    /// All that settle, but those that were filtered or rejected.
    Wanted,
    /// Rejected ones.
    Rejected,
}

/// How an outlet takes events.
pub enum OutletKind {
    /// Stages and publishes with the ledger.
    Staged(Box<dyn Sink>),
    /// Delivers at once.
    Delivers(Box<dyn Deliverer>, DeliveryPolicy),
}

/// When a delivery is tried again, and when a sink counts as down.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryPolicy {
    /// Of an event.
    pub retry: RetryConfig,
    /// Of the sink.
    pub circuit: CircuitConfig,
}

impl Outlet {
    /// An outlet that stages.
    #[must_use]
    pub fn staged(takes: Takes, sink: Box<dyn Sink>) -> Self {
        Self { name: sink.name().to_owned(), takes, kind: OutletKind::Staged(sink) }
    }

    /// An outlet that delivers at once.
    #[must_use]
    pub fn delivers(takes: Takes, sink: Box<dyn Deliverer>, policy: DeliveryPolicy) -> Self {
        Self { name: sink.name().to_owned(), takes, kind: OutletKind::Delivers(sink, policy) }
    }

    pub(super) fn publisher(&self) -> Box<dyn Publisher> {
        match &self.kind {
            OutletKind::Staged(sink) => sink.publisher(),
            OutletKind::Delivers(..) => Box::new(NothingToPublish),
        }
    }
}
