//! What `run` and `serve` have in common: an open data folder with everything that goes along.
//!
//! Order: the ledger's lock, the broker, the note and the socket, the front door, the pipes; and
//! back: the front door closes, pipes drain, the table is brought up to date, then broker and
//! ledger close.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::BrokerOptions;
use console::monitor::Monitor;
use console::now::Watch;
use dedup::ledger::NewKey;
use event::source::Stop;
use gateway::{Gateway, GatewayOptions};
use journal::{Disk, RealDisk};
use pipe::config::PipeConfig;
use pipe::tap::TapHub;
use pipe::{PipeSummary, RunError, RunOptions, RunSummary, Session, Tuning};

use crate::compactor::Compactor;
use crate::exit::{Exit, Failure};
use crate::logs::Noted;
use crate::note::Note;
use crate::pages::ServicePages;
use crate::progress::{self, Companion, MovingLine};
use crate::signals;
use crate::tap::{self, CompactRequests, Jobs};
use crate::test_clock::OffsetClock;

/// How long requests that are under way may take once a stop was asked for.
const FRONT_DRAIN: Duration = Duration::from_secs(5);
/// How often to look whether a stop was asked for.
const LOOK: Duration = Duration::from_millis(50);

/// What comes through the socket to be done.
#[derive(Clone, Default)]
struct Asked {
    compact: CompactRequests,
    jobs: Jobs,
}

/// What to run.
pub(crate) struct Plan {
    pub(crate) configs: Vec<PipeConfig>,
    pub(crate) data_dir: PathBuf,
    pub(crate) reread: bool,
    /// Whether the definition of a scope's keys may change.
    pub(crate) new_key: Option<NewKey>,
    pub(crate) progress_lines: bool,
    /// The front door, for `serve`.
    pub(crate) front: Option<GatewayOptions>,
}

/// Runs it to its end.
pub(crate) fn run(
    plan: Plan,
    clock: &OffsetClock,
    noted: &Noted,
    moving: MovingLine,
) -> Result<RunSummary, Failure> {
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let taps = TapHub::default();
    let options = RunOptions {
        data_dir: plan.data_dir.clone(),
        reread: plan.reread,
        new_key: plan.new_key.clone(),
        stop: stop.clone(),
        disk: Arc::clone(&disk),
        clock: Arc::new(clock.clone()),
        taps: taps.clone(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
        tuning: Tuning::default(),
    };
    let note = Note::new(&plan.data_dir, Arc::clone(&disk), clock.clone(), &plan.configs);
    let asked = Asked::default();
    let companion = {
        let (note, data_dir, asked) = (note.clone(), plan.data_dir.clone(), asked.clone());
        progress::start(taps.clone(), plan.progress_lines, moving, move || {
            note.started();
            tap::serve(&data_dir, &disk, &taps, &asked.compact, &asked.jobs)
        })
    };
    for config in &plan.configs {
        tracing::info!(pipe = config.pipe, data_dir = %plan.data_dir.display(), "starts");
    }
    let ran = run_session(&plan, &options, clock, &note, asked);
    close_socket(companion);
    let summary = RunSummary { pipes: ran? };
    log_end(&summary);
    note.ended(&summary, &noted.notes());
    Ok(summary)
}

fn close_socket(companion: Companion) {
    if let Some(server) = companion.end() {
        server.close();
    }
}

fn run_session(
    plan: &Plan,
    options: &RunOptions,
    clock: &OffsetClock,
    note: &Note,
    asked: Asked,
) -> Result<Vec<PipeSummary>, Failure> {
    let (session, broker) = if plan.front.is_some() {
        let (session, broker) =
            Session::open_with_broker(&plan.configs, options, BrokerOptions::default())?;
        (session, Some(broker))
    } else {
        let session = Session::open(&plan.configs, options, BrokerOptions::default())?;
        let broker = session.broker().cloned();
        (session, broker)
    };
    let watch = Arc::new(Watch::new(
        Arc::clone(session.ledger()),
        broker.clone(),
        session.pipes(),
        Arc::new(clock.clone()),
        &plan.data_dir,
        note.pipes(),
    ));
    let seen = note.clone();
    let monitor = Monitor::start(Arc::clone(&watch), &plan.configs, move |now| seen.look(now))
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start a thread: {error}")))?;
    let pages = Arc::new(ServicePages::new(Arc::clone(&watch), monitor.reader()));
    let gateway = match (&plan.front, broker) {
        (Some(front), Some(broker)) => {
            Some(Gateway::bind(front.clone(), broker, Arc::new(clock.clone()), pages)?)
        }
        _ => None,
    };
    if let Some(gateway) = &gateway {
        announce(gateway.local_addr(), plan);
    }
    let compactor = Compactor::new(&session, clock, asked.compact);
    let over = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        let tables = scope.spawn(|| compactor.run(&options.stop));
        let jobs = scope.spawn(|| asked.jobs.run(&session, &over));
        let ran = drive(&session, gateway, &options.stop);
        compactor.end();
        over.store(true, Ordering::Release);
        let _ = (tables.join(), jobs.join()); // they have said what they have to say
        ran
    });
    // A run that was asked to stop ends soon; the next one catches up.
    if ran.is_ok() && !options.stop.asked() {
        compactor.compact_all(&options.stop);
    }
    monitor.end();
    note.last_look(&watch.now());
    let closed = session.close();
    let pipes = ran?;
    closed?;
    Ok(pipes)
}

/// Where it listens, for people and for scripts that wait for it.
fn announce(at: SocketAddr, plan: &Plan) {
    eprintln!("listening on http://{at}, data folder {}", plan.data_dir.display());
}

/// Runs the pipes. With a front door they may end: the door stays open until a stop is asked for.
fn drive(
    session: &Session,
    gateway: Option<Gateway>,
    stop: &Stop,
) -> Result<Vec<PipeSummary>, RunError> {
    let Some(gateway) = gateway else { return session.run() };
    std::thread::scope(|scope| {
        let pipes = scope.spawn(|| session.run());
        while !stop.asked() {
            if pipes.is_finished() && session.has_failed_to_start() {
                stop.ask();
            }
            std::thread::park_timeout(LOOK);
        }
        if !gateway.shutdown(FRONT_DRAIN) {
            tracing::warn!("some requests didn't end in time and were cut off");
        }
        // A panic of a pipe's step is caught in the pipe.
        pipes.join().unwrap_or_else(|_| Ok(Vec::new()))
    })
}

fn log_end(summary: &RunSummary) {
    for pipe in &summary.pipes {
        let totals = &pipe.totals;
        tracing::info!(
            pipe = pipe.name,
            received = totals.received,
            batches = totals.batches,
            reread = totals.reread,
            elapsed_ms = u64::try_from(pipe.elapsed.as_millis()).unwrap_or(u64::MAX),
            "ended"
        );
    }
}
