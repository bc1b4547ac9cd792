//! A sync that was begun, and how a thread waits for it.

use std::cell::OnceCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::oneshot;

/// A sync that was begun by [`DiskFile::sync_start`](super::DiskFile::sync_start).
///
/// Nothing is promised before [`PendingSync::wait`] has said `Ok`.
#[must_use = "nothing is durable before wait() has said so"]
pub struct PendingSync(Inner);

enum Inner {
    Ready(io::Result<()>),
    Deferred(Box<dyn FnOnce() -> io::Result<()> + Send>),
    Running(oneshot::Receiver<io::Result<()>>),
}

impl PendingSync {
    /// A sync whose outcome is known already.
    pub fn ready(outcome: io::Result<()>) -> Self {
        Self(Inner::Ready(outcome))
    }

    /// A sync that is done by whoever waits for it.
    pub fn deferred(sync: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        Self(Inner::Deferred(Box::new(sync)))
    }

    pub(super) fn running(answer: oneshot::Receiver<io::Result<()>>) -> Self {
        Self(Inner::Running(answer))
    }

    /// Blocks until the sync is done.
    ///
    /// # Errors
    /// What the system said about the sync.
    pub fn wait(self) -> io::Result<()> {
        match self.0 {
            Inner::Ready(outcome) => outcome,
            Inner::Deferred(sync) => sync(),
            Inner::Running(answer) => block_on(answer)
                .unwrap_or_else(|_| Err(io::Error::other("the sync thread is gone"))),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the future is ready. Unlike tokio's own blocking wait it is allowed
/// everywhere, also on a thread that runs an async runtime.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static WAKER: OnceCell<Waker> = const { OnceCell::new() };
    }
    let waker = WAKER.with(|waker| {
        waker.get_or_init(|| Waker::from(Arc::new(Unpark(thread::current())))).clone()
    });
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
