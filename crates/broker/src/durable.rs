//! An answer that counts once what it rests on is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use journal::{AppendError, PendingAppend};
use tokio::sync::oneshot;

use crate::error::BrokerError;

/// The answer to a change that is under way: wait for it, or await it. Dropping it doesn't take
/// the change back.
#[must_use = "nothing is durable before the answer is there"]
pub struct Durable<T> {
    append: Option<PendingAppend>,
    settled: Option<oneshot::Receiver<Result<T, BrokerError>>>,
    answer: Option<Result<T, BrokerError>>,
}

impl<T> Durable<T> {
    /// `answer`, once `append` is durable.
    pub(crate) fn after(append: PendingAppend, answer: T) -> Self {
        Self { append: Some(append), settled: None, answer: Some(Ok(answer)) }
    }

    /// What will be sent, once that on which it rests is durable.
    pub(crate) fn settled(settled: oneshot::Receiver<Result<T, BrokerError>>) -> Self {
        Self { append: None, settled: Some(settled), answer: None }
    }

    /// An answer that rests on nothing.
    pub(crate) fn now(answer: Result<T, BrokerError>) -> Self {
        Self { append: None, settled: None, answer: Some(answer) }
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
        if let Some(settled) = self.settled.take() {
            return block_on(settled).unwrap_or_else(|_| Err(gone()));
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

/// Waits with this thread, also inside a runtime's.
fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

fn gone() -> BrokerError {
    BrokerError::Stopped { cause: "the journal's thread is gone".into() }
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
        if let Some(settled) = &mut this.settled {
            let Poll::Ready(answer) = Pin::new(settled).poll(context) else {
                return Poll::Pending;
            };
            this.settled = None;
            return Poll::Ready(answer.unwrap_or_else(|_| Err(gone())));
        }
        Poll::Ready(this.answer.take().unwrap_or_else(|| Err(taken())))
    }
}
