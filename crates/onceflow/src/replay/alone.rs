//! Nobody owns the data folder: the command opens it, and runs the pipe with its inbox only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::BrokerOptions;
use event::source::Stop;
use journal::{Disk, RealDisk};
use pipe::tap::TapHub;
use pipe::{RunOptions, Session, Tuning};

use super::drive::{Around, drive};
use super::{Asked, Done, Place, Shown, the_pipe};
use crate::commands::load;
use crate::exit::{self, Exit, Failure};
use crate::signals;
use crate::test_clock::OffsetClock;

pub(super) fn run(
    asked: &Asked,
    pipes: &[PathBuf],
    data_dir: &Path,
    clock: &OffsetClock,
    shown: &mut Shown,
) -> Result<Done, Failure> {
    let configs = load(pipes)?;
    let config = the_pipe(&configs, Some(&asked.pipe))?;
    if !data_dir.join("ledger").is_dir() {
        let what = format!("{} holds no ledger: run the pipes first", data_dir.display());
        return Err(Failure::new(Exit::DataDir, what));
    }
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let options = RunOptions {
        data_dir: data_dir.to_owned(),
        reread: false,
        new_key: None,
        stop: stop.clone(),
        disk: Arc::clone(&disk),
        clock: Arc::new(clock.clone()),
        taps: TapHub::default(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
        tuning: Tuning::default(),
    };
    let place = Place { config, data_dir, disk, clock: Arc::new(clock.clone()) };
    // The job first: what it refuses for leaves the folder as it was.
    let mut job = asked.kind.job(asked.args.clone(), &place)?;
    let session = Session::open(std::slice::from_ref(config), &options, BrokerOptions::default())?;
    let Some(inbox) = session.inbox(&config.pipe) else {
        return Err(Failure::usage(format!("there is no pipe `{}`", config.pipe)));
    };
    // Asked by us at the end; only a signal before that is an interruption.
    let (tally, ran) = std::thread::scope(|scope| {
        let running = scope.spawn(|| session.run_inboxes());
        let over = || stop.asked() || running.is_finished();
        let mut around = Around {
            clock,
            stopped: &over,
            tell: &mut |tally| {
                shown.show(tally);
                !running.is_finished()
            },
        };
        let tally = drive(job.as_mut(), &inbox, &mut around);
        stop.ask();
        // A panic of a pipe's step is caught in the pipe.
        (tally, running.join().unwrap_or_else(|_| Ok(Vec::new())))
    });
    let report = job.end();
    let closed = session.close();
    for summary in ran? {
        if let Some(failure) = summary.failure {
            return Err(Failure::new(exit::pipe(&failure), failure));
        }
    }
    closed?;
    let tally = tally.map_err(|why| Failure::new(Exit::Failed, why))?;
    Ok(Done { id: job.id().to_owned(), tally, report })
}
