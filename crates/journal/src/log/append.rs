//! The answer to an append that is under way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::error::AppendError;
use super::position::Position;
use crate::disk::block_on;

pub(super) type Outcome = Result<Position, AppendError>;

/// What an owner wants to be called with an append's outcome: see [`Journal::submit_then`].
///
/// [`Journal::submit_then`]: super::Journal::submit_then
pub type Then = Box<dyn FnOnce(&Result<Position, AppendError>) + Send>;

/// An append that was submitted: wait for it, or await it. Dropping it doesn't take it back.
#[must_use = "nothing is durable before the answer is there"]
pub struct PendingAppend(Inner);

enum Inner {
    Ready(Option<AppendError>),
    Queued(oneshot::Receiver<Outcome>),
}

impl PendingAppend {
    pub(super) fn refused(error: AppendError) -> Self {
        Self(Inner::Ready(Some(error)))
    }

    pub(super) fn queued(answer: oneshot::Receiver<Outcome>) -> Self {
        Self(Inner::Queued(answer))
    }

    /// Blocks until the record is durable; its position.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn wait(self) -> Result<Position, AppendError> {
        block_on(self)
    }
}

fn writer_gone() -> AppendError {
    AppendError::Poisoned { cause: "the journal's thread is gone".into() }
}

impl Future for PendingAppend {
    type Output = Result<Position, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Inner::Ready(error) => Poll::Ready(Err(error.take().unwrap_or_else(writer_gone))),
            Inner::Queued(answer) => Pin::new(answer)
                .poll(context)
                .map(|outcome| outcome.unwrap_or_else(|_| Err(writer_gone()))),
        }
    }
}
