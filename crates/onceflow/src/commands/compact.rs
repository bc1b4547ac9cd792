//! `compact`: finished NDJSON files of lakes become Parquet, now.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use console::show;
use event::source::Stop;
use journal::RealDisk;
use pipe::tap::TapHub;
use pipe::{RunOptions, Session, Tuning};

use super::load;
use crate::compactor::{self, Compactor, Counted};
use crate::exit::{Exit, Failure};
use crate::print::out;
use crate::progress::MovingLine;
use crate::signals;
use crate::tap::{self, CompactAnswer, TableAnswer};
use crate::test_clock::OffsetClock;

/// Characters of the bar.
const BAR_WIDTH: usize = 40;
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn compact(
    pipes: &[PathBuf],
    data_dir: &Path,
    json: bool,
    clock: &OffsetClock,
    moving: MovingLine,
) -> Result<Exit, Failure> {
    let configs = load(pipes)?;
    let mut bar = Bar::new(moving, json);
    let mut answer = None;
    let asked = tap::ask(data_dir, |heard| match heard {
        CompactAnswer::Progress(phase, done, total) => bar.show(&phase, done, total),
        CompactAnswer::Tables(tables) => answer = Some(Ok(tables)),
        CompactAnswer::Refused(why) => answer = Some(Err(why)),
    });
    let lost = |what: String| Failure::new(Exit::Failed, format!("the run doesn't answer: {what}"));
    let tables = match asked.map_err(|error| lost(error.to_string()))? {
        Some(()) => answer
            .unwrap_or_else(|| Err("it ended".to_owned()))
            .map_err(|why| Failure::new(Exit::Failed, format!("the run refused: {why}")))?,
        None => by_ourselves(configs, data_dir, clock, &mut bar)?,
    };
    bar.end();
    if json {
        let text = serde_json::to_string_pretty(&tables);
        out(text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n")?;
    } else {
        out(text(&tables))?;
    }
    Ok(if tables.iter().any(|table| table.error.is_some()) { Exit::Failed } else { Exit::Ok })
}

/// Nobody runs the pipes: we own the folder meanwhile.
fn by_ourselves(
    configs: Vec<pipe::config::PipeConfig>,
    data_dir: &Path,
    clock: &OffsetClock,
    bar: &mut Bar,
) -> Result<Vec<TableAnswer>, Failure> {
    if !data_dir.join("ledger").is_dir() {
        return Err(Failure::new(
            Exit::DataDir,
            format!("{} holds no ledger: run the pipes first", data_dir.display()),
        ));
    }
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let options = RunOptions {
        data_dir: data_dir.to_owned(),
        reread: false,
        new_key: None,
        stop: stop.clone(),
        disk: Arc::new(RealDisk::new()),
        clock: Arc::new(clock.clone()),
        taps: TapHub::default(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
        tuning: Tuning::default(),
    };
    let session = Session::open_without_broker(&configs, &options)?;
    let compactor = Compactor::new(&session, clock, tap::CompactRequests::default());
    let counted = Counted::default();
    let over = AtomicBool::new(false);
    let tables = std::thread::scope(|scope| {
        let at_work = scope.spawn(|| {
            let tables = compactor.on_request(&counted, &stop);
            over.store(true, Ordering::Release);
            tables
        });
        while !over.load(Ordering::Acquire) && !at_work.is_finished() {
            if let Some((phase, done, total)) = counted.now() {
                bar.show(&phase.to_string(), done, total);
            }
            std::thread::park_timeout(TICK);
        }
        at_work.join().unwrap_or_default()
    });
    session.close()?;
    Ok(tables)
}

fn text(tables: &[TableAnswer]) -> String {
    if tables.is_empty() {
        return "none of these pipes has delivered into a lake\n".to_owned();
    }
    let mut out = String::new();
    for table in tables {
        let lake = table.lake.display();
        if let Some(error) = &table.error {
            out.push_str(&format!("{lake}: {error}\n"));
        }
        if let Some(done) = &table.done {
            out.push_str(&format!("{lake}: {}\n", compactor::summary(done)));
            for line in compactor::remarks(done) {
                out.push_str(&format!("  {line}\n"));
            }
            if done.waiting > 0 {
                out.push_str(&format!(
                    "  {} not known to be published yet; the next compaction takes them\n",
                    show::counted(done.waiting, "file")
                ));
            }
        }
    }
    out
}

/// A bar on a terminal, a line for each phase elsewhere.
struct Bar {
    moving: Option<MovingLine>,
    phase: String,
    quiet: bool,
}

impl Bar {
    fn new(moving: MovingLine, quiet: bool) -> Bar {
        let terminal = !quiet && std::io::stderr().is_terminal();
        Bar { moving: terminal.then_some(moving), phase: String::new(), quiet }
    }

    fn show(&mut self, phase: &str, done: u64, total: u64) {
        let fresh = self.phase != phase;
        phase.clone_into(&mut self.phase);
        match &self.moving {
            Some(moving) => moving.show(&bar(phase, done, total)),
            None if fresh && !self.quiet => eprintln!("compact: {phase}"),
            None => {}
        }
    }

    fn end(&self) {
        if let Some(moving) = &self.moving {
            moving.clear();
        }
    }
}

/// `sort   [#########.........................]  27%`
fn bar(phase: &str, done: u64, total: u64) -> String {
    let share = if total == 0 { 0.0 } else { done.min(total) as f64 / total as f64 };
    let full = (share * BAR_WIDTH as f64) as usize;
    let (full, rest) = ("#".repeat(full), ".".repeat(BAR_WIDTH - full));
    format!("{phase:<6} [{full}{rest}] {:>3.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end_and_never_longer() {
        assert_eq!(bar("sort", 0, 0).matches('#').count(), 0);
        for done in [4, 9] {
            let text = bar("switch", done, 4);
            assert_eq!(text.matches('#').count(), BAR_WIDTH, "{text}");
            assert!(text.ends_with("] 100%"), "{text}");
        }
        assert!(bar("write", 1, 4).contains(" 25%"));
    }
}
