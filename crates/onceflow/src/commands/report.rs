//! `report`: what happened in a data folder. Changes nothing, and works while the owner runs.

use std::path::Path;
use std::sync::Arc;

use console::report::Facts;
use console::{LastRun, Report};
use event::Clock as _;
use journal::{Disk, RealDisk};

use crate::exit::{self, Exit, Failure};
use crate::print::out;
use crate::tap;
use crate::test_clock::OffsetClock;

pub(crate) fn report(data_dir: &Path, json: bool, clock: &OffsetClock) -> Result<Exit, Failure> {
    let report = read(data_dir, clock)?;
    let text = if json {
        let text = serde_json::to_string_pretty(&report);
        text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n"
    } else {
        console::markdown::report(&report)
    };
    let printed = out(text)?;
    Ok(if report.is_balanced() { printed } else { Exit::Imbalance })
}

/// Makes the report of a data folder.
pub(crate) fn read(data_dir: &Path, clock: &OffsetClock) -> Result<Report, Failure> {
    if !data_dir.join("ledger").is_dir() {
        return Err(Failure::new(
            Exit::DataDir,
            format!(
                "{} holds no ledger. Name the data folder with --data-dir, or the pipe's config: \
                 its data folder is onceflow-data next to it",
                data_dir.display()
            ),
        ));
    }
    let state = dedup::ledger::read_only(&RealDisk::new(), data_dir)
        .map_err(|error| Failure::new(exit::ledger(&error), error))?;
    let last_run = LastRun::read(data_dir).map_err(|error| {
        Failure::new(Exit::DataDir, format!("cannot read {}: {error}", data_dir.display()))
    })?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let (tables, problems) = console::tables::look(&disk, last_run.as_ref());
    let facts = Facts {
        data_dir,
        last_run: last_run.as_ref(),
        tables: &tables,
        running: tap::is_running(data_dir),
        now_ms: clock.now_ms(),
    };
    let mut report = Report::new(&state, &facts);
    report.errors.extend(problems);
    Ok(report)
}
