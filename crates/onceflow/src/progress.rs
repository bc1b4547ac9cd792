//! How far a run is: on a terminal one line that moves; for tests a line per batch.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::show;
use pipe::tap::TapHub;

use crate::tap::Server;

/// A run that is over sooner shows no progress.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// How often to look.
const LOOK: Duration = Duration::from_millis(200);
/// How often while something waits for it.
const LOOK_SOON: Duration = Duration::from_millis(10);

/// The line that moves on a terminal. Clones share whether one stands there.
#[derive(Clone, Debug, Default)]
pub(crate) struct MovingLine(Arc<AtomicBool>);

impl MovingLine {
    /// Shows `text` in place of what stood there.
    pub(crate) fn show(&self, text: &str) {
        self.0.store(true, Ordering::Release);
        eprint!("\r\x1b[K{text}");
        let _ = std::io::stderr().flush(); // a terminal that has gone shows nothing
    }

    /// Makes room for something that stays.
    pub(crate) fn clear(&self) {
        if self.0.swap(false, Ordering::AcqRel) {
            eprint!("\r\x1b[K");
        }
    }
}

/// The thread that goes along with a run.
pub(crate) struct Companion {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<Server>>>,
}

/// Starts it. `opened` is called once the data folder is ours, and opens the socket for `tap`.
pub(crate) fn start(
    taps: TapHub,
    lines: bool,
    moving: MovingLine,
    opened: impl FnOnce() -> Option<Server> + Send + 'static,
) -> Companion {
    let over = Arc::new(AtomicBool::new(false));
    let watched = Arc::clone(&over);
    let go_along = move || follow(&taps, lines, &moving, opened, &watched);
    let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(go_along);
    if let Err(error) = &thread {
        tracing::warn!(%error, "no thread for progress and tap; the run goes on without");
    }
    Companion { over, thread: thread.ok() }
}

impl Companion {
    /// The run is over.
    pub(crate) fn end(self) -> Option<Server> {
        self.over.store(true, Ordering::Release);
        let thread = self.thread?;
        thread.thread().unpark();
        thread.join().ok().flatten()
    }
}

fn follow(
    taps: &TapHub,
    lines: bool,
    moving: &MovingLine,
    opened: impl FnOnce() -> Option<Server>,
    over: &AtomicBool,
) -> Option<Server> {
    let began = Instant::now();
    let (mut opened, mut server) = (Some(opened), None);
    let terminal = std::io::stderr().is_terminal() && !lines;
    let mut seen = 0;
    while !over.load(Ordering::Acquire) {
        let progress = taps.progress();
        if progress.is_open()
            && let Some(opened) = opened.take()
        {
            server = opened();
        }
        let settled = progress.settled();
        if lines && settled > seen {
            seen = settled;
            eprintln!("progress {settled}");
        }
        if terminal && began.elapsed() > SHOW_AFTER {
            let rate = settled as f64 / began.elapsed().as_secs_f64();
            let (events, rate) = (show::counted(settled, "event"), show::count(rate as u64));
            moving.show(&format!("{events} settled, {rate}/s"));
        }
        std::thread::park_timeout(if lines || opened.is_some() { LOOK_SOON } else { LOOK });
    }
    moving.clear();
    server
}
