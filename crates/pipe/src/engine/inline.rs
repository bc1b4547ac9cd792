//! All steps of a pipe in one thread, one batch after another. For simulations: the order of disk
//! operations is the same in every run.

use event::source::{Received, Stop};

use super::commit::Commit;
use super::patience::NoPatience;
use super::stage::{Stage, StageFailure};
use super::steps::Steps;
use super::{Decided, Parts, PipeError, Totals};

/// Runs the pipe until its source ends or `stop` is asked.
///
/// # Errors
/// [`PipeError`]. No space counts as an error here: nobody could make room meanwhile.
pub fn run(parts: Parts, stop: &Stop) -> Result<Totals, PipeError> {
    let mut steps = Steps::new(parts, stop)?;
    while !stop.asked() {
        match steps.read.receive(stop)? {
            Received::Batch(mut batch) => {
                if !steps.preparer.prepare(&mut batch) {
                    break;
                }
                let decided = steps.decide.decide(batch, &mut |_| false)?;
                settle(&mut steps.stage, &mut steps.commit, decided)?;
                while let Some(decided) = steps.decide.decide_waiting(&mut |_| false)? {
                    settle(&mut steps.stage, &mut steps.commit, decided)?;
                }
            }
            Received::Idle => {}
            Received::End => break,
        }
    }
    while let Some(decided) = steps.decide.decide_waiting(&mut |_| false)? {
        settle(&mut steps.stage, &mut steps.commit, decided)?;
    }
    let last = steps.decide.finish();
    settle(&mut steps.stage, &mut steps.commit, last)?;
    Ok(steps.commit.into_totals())
}

fn settle(stage: &mut Stage, commit: &mut Commit, decided: Decided) -> Result<(), PipeError> {
    let staged = stage.stage(decided, &mut NoPatience).map_err(|failure| match failure {
        StageFailure::GaveUp(error) | StageFailure::Fatal(error) => error,
    })?;
    stage.unsettled.batch_is_through();
    commit.commit(staged, &mut |_| false)
}
