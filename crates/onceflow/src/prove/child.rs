//! What runs in the child process: the pipes, on a disk that goes wrong when it is told to.

use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::BrokerOptions;
use broker::queues::QueuesOptions;
use broker::streams::StreamsOptions;
use event::source::Stop;
use journal::disk::fault;
use journal::{Disk, FaultDisk, FaultPlan, OpFault, RealDisk, SimDisk};
use pipe::tap::TapHub;
use pipe::{RunOptions, Session, Tuning};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::feeder;
use super::place::Place;
use super::plant::Plant;
use super::redirect::redirect;
use crate::commands::load;
use crate::exit::{Exit, Failure};
use crate::test_clock::OffsetClock;

/// Segments so small that a short run fills several.
const SEGMENT_BYTES: u64 = 32 << 10;
/// The ledger makes a checkpoint this often.
const CHECKPOINT_BYTES: u64 = 96 << 10;
/// How often it looks whether everything is settled.
const LOOK: Duration = Duration::from_millis(2);

/// One life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Life {
    /// The configs.
    pub(super) pipes: Vec<PathBuf>,
    /// The scratch folder.
    pub(super) root: PathBuf,
    /// On a simulated disk, loaded from the folder.
    pub(super) simulated: bool,
    /// What goes wrong, and in which operation.
    pub(super) fault: Option<(u64, Wrong)>,
    /// Chance.
    pub(super) seed: u64,
    /// A breakage.
    pub(super) plant: Option<Plant>,
    /// Who takes calls over HTTP.
    pub(super) receiver: Option<SocketAddr>,
    /// It ends when nothing has happened for so long.
    pub(super) idle_ms: u64,
    /// It ends by then.
    pub(super) life_ms_max: u64,
}

/// What goes wrong in a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wrong {
    /// Power is lost: what wasn't synced may be gone.
    PowerLoss,
    /// The process is killed.
    Kill,
    /// An operation fails.
    Io,
    /// There is no room for so many operations.
    NoSpace(u64),
}

/// How a life ended that ended in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Operations of the disk.
    pub(super) ops: u64,
    /// Events that were settled.
    pub(super) settled: u64,
    /// What stopped, and why.
    pub(super) failures: Vec<String>,
    /// Why the broker refused events.
    pub(super) refused: Vec<String>,
}

/// Says something to the parent, a line.
pub(super) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // A parent that has gone kills nobody; the life ends all the same.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Lives.
pub(crate) fn live(life: &str, clock: &OffsetClock) -> Result<Exit, Failure> {
    let life: Life = serde_json::from_str(life).map_err(Failure::usage)?;
    let place = Place::at(life.root.clone());
    let disk = LifeDisk::new(&life, &place)?;
    let configs = redirect(load(&life.pipes)?, &place, life.receiver).configs;
    let stop = Stop::default();
    let taps = TapHub::default();
    let options = RunOptions {
        data_dir: place.data(),
        reread: false,
        new_key: None,
        stop: stop.clone(),
        disk: Arc::new(disk.disk.clone()) as Arc<dyn Disk>,
        clock: Arc::new(clock.clone()),
        taps: taps.clone(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
        tuning: Tuning {
            segment_bytes: Some(SEGMENT_BYTES),
            checkpoint_journal_bytes: Some(CHECKPOINT_BYTES),
            planted: life.plant.and_then(Plant::in_engine),
        },
    };
    let mut ended = Ended::default();
    match Session::open(&configs, &options, broker_options()) {
        Ok(session) => {
            run(&session, &life, &stop, &taps, &mut ended);
            if let Err(error) = session.close() {
                ended.failures.push(format!("close: {error}"));
            }
        }
        Err(error) => ended.failures.push(format!("open: {error}")),
    }
    disk.end()?;
    ended.ops = disk.disk.ops();
    ended.settled = taps.progress().settled();
    let text = serde_json::to_string(&ended).map_err(|error| Failure::new(Exit::Failed, error))?;
    say(&format!("end {text}"));
    Ok(Exit::Ok)
}

/// Small, so that a short run sees segments come and go.
pub(super) fn broker_options() -> BrokerOptions {
    BrokerOptions {
        queues: QueuesOptions { segment_bytes: SEGMENT_BYTES, ..QueuesOptions::default() },
        streams: StreamsOptions { segment_bytes: 1 << 20, ..StreamsOptions::default() },
    }
}

/// Feeds and runs the pipes until nothing more happens.
fn run(session: &Session, life: &Life, stop: &Stop, taps: &TapHub, ended: &mut Ended) {
    let until = Instant::now() + Duration::from_millis(life.life_ms_max);
    let idle = Duration::from_millis(life.idle_ms);
    std::thread::scope(|scope| {
        let pipes = scope.spawn(|| session.run());
        // Not joined before the end: a broker that can't go on makes it wait.
        let feeding = scope.spawn(|| feeder::feed(session, BufReader::new(std::io::stdin())));
        let (mut settled, mut since) = (0, Instant::now());
        while Instant::now() < until && !pipes.is_finished() {
            let now = taps.progress().settled();
            if now != settled || !feeding.is_finished() {
                (settled, since) = (now, Instant::now());
            }
            if since.elapsed() >= idle {
                break;
            }
            std::thread::park_timeout(LOOK);
        }
        stop.ask();
        let failures = &mut ended.failures;
        match pipes.join() {
            Ok(Ok(summaries)) => {
                for pipe in summaries {
                    failures.extend(pipe.failure.map(|error| format!("{}: {error}", pipe.name)));
                }
            }
            Ok(Err(error)) => failures.push(format!("start: {error}")),
            Err(_) => failures.push("a pipe panicked".to_owned()),
        }
        match feeding.join() {
            Ok(refused) => ended.refused = refused,
            Err(_) => failures.push("the feeder panicked".to_owned()),
        }
    });
}

/// The disk of a life.
struct LifeDisk {
    disk: FaultDisk,
    /// Where a simulated one is saved to at the end.
    sim: Option<(SimDisk, PathBuf)>,
}

impl LifeDisk {
    fn new(life: &Life, place: &Place) -> Result<LifeDisk, Failure> {
        let dir = place.disk();
        let mut plan = FaultPlan { seed: life.seed, ..FaultPlan::default() };
        plan.never_cut = life.plant.is_some_and(Plant::never_cuts);
        plan.tell = Some(Box::new(|op, what| say(&format!("fault {op} {what}"))));
        plan.fault = life.fault.map(|(op, wrong)| (op, op_fault(wrong)));
        if !life.simulated {
            let disk = FaultDisk::new(Arc::new(RealDisk::new()), plan);
            return Ok(LifeDisk { disk, sim: None });
        }
        let sim = SimDisk::new(life.seed);
        fault::load(&sim, &dir, &not_through_disk)
            .map_err(|error| super::place::cannot("load", &dir, &error))?;
        if let Some(plant) = life.plant {
            plant.on_disk(&sim);
        }
        let (crashing, to, seed) = (sim.clone(), dir.clone(), life.seed);
        plan.after = Some(Box::new(move || {
            if crashing.has_crashed() {
                save_and_end(&crashing.after_power_loss(seed), &to);
            }
        }));
        Ok(LifeDisk { disk: FaultDisk::simulated(sim.clone(), plan), sim: Some((sim, dir)) })
    }

    /// What a simulated disk has goes to the real one: as after a kill of the process.
    fn end(&self) -> Result<(), Failure> {
        let Some((sim, dir)) = &self.sim else { return Ok(()) };
        fault::save(&sim.after_process_kill(), dir, &not_through_disk)
            .map_err(|error| super::place::cannot("save", dir, &error))
    }
}

/// The lock and the socket of a data folder are files of the real disk.
pub(super) fn not_through_disk(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "lock" || name == "spill")
}

fn op_fault(wrong: Wrong) -> OpFault {
    match wrong {
        Wrong::PowerLoss => OpFault::PowerLoss,
        Wrong::Kill => OpFault::End(Box::new(|_| end_now())),
        Wrong::Io => OpFault::Io,
        Wrong::NoSpace(ops) => OpFault::NoSpace { ops },
    }
}

/// Saves what a loss of power has left. Only one thread gets to it, and none goes on.
fn save_and_end(left: &SimDisk, to: &Path) {
    static ENDING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _ending = ENDING.lock();
    match fault::save(left, to, &not_through_disk) {
        Ok(()) => say("lost power"),
        Err(error) => say(&format!("broken {error}")),
    }
    end_now();
}

/// As `kill -9` does.
fn end_now() {
    let _ = kill_process(getpid(), Signal::KILL); // a process may always kill itself
    loop {
        std::thread::park();
    }
}
