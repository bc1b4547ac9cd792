//! An answer that counts once what it rests on is durable.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use journal::{AppendError, PendingAppend};

use crate::error::BrokerError;

/// The answer to a change that is under way: wait for it, or await it. Dropping it doesn't take
/// the change back.
#[must_use = "nothing is durable before the answer is there"]
pub struct Durable<T> {
    append: Option<PendingAppend>,
    answer: Option<Result<T, BrokerError>>,
}

impl<T> Durable<T> {
    /// `answer`, once `append` is durable.
    pub(crate) fn after(append: PendingAppend, answer: T) -> Self {
        Self { append: Some(append), answer: Some(Ok(answer)) }
    }

    /// An answer that rests on nothing.
    pub(crate) fn now(answer: Result<T, BrokerError>) -> Self {
        Self { append: None, answer: Some(answer) }
    }

    /// Blocks until the change is durable.
    ///
    /// # Errors
    /// [`BrokerError`]; the change did not happen, or after [`BrokerError::Stopped`] it is not
    /// known whether it will be there after a restart.
    pub fn wait(mut self) -> Result<T, BrokerError> {
        if let Some(append) = self.append.take() {
            append.wait().map_err(refused)?;
        }
        self.answer.take().unwrap_or_else(|| Err(taken()))
    }
}

/// What a failed append means to the caller.
pub(crate) fn refused(error: AppendError) -> BrokerError {
    match error {
        AppendError::DiskFull { .. } => BrokerError::NoSpace { dir: std::path::PathBuf::new() },
        other => BrokerError::Stopped { cause: other.to_string() },
    }
}

fn taken() -> BrokerError {
    BrokerError::Stopped { cause: "an answer was asked for twice".into() }
}

impl<T: Unpin> Future for Durable<T> {
    type Output = Result<T, BrokerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(append) = &mut this.append {
            match Pin::new(append).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(refused(error))),
                Poll::Ready(Ok(_)) => this.append = None,
            }
        }
        Poll::Ready(this.answer.take().unwrap_or_else(|| Err(taken())))
    }
}
