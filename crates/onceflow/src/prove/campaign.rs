//! Runs until the time or the counts are reached, or something is found.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use pipe::config::{PipeConfig, SinkKind};

use super::check::shown;
use super::life::Lived;
use super::options::Asked;
use super::place::Place;
use super::receiver::Receiver;
use super::redirect::redirect;
use super::run::{Common, Run};
use super::schedule::{Schedule, Shape};
use super::strace;
use super::supply::Source;
use super::table::Proof;
use crate::commands::load;
use crate::exit::Failure;
use crate::progress::MovingLine;

/// Lives of a run.
const LIVES: u64 = 36;
/// Every so many runs have two eras.
const ERA_EVERY: u64 = 3;
/// How much of what was found is named.
const NAMED_MAX: usize = 5;

/// Proves.
pub(crate) fn prove(asked: &Asked, moving: &MovingLine) -> Result<Proof, Failure> {
    let began = Instant::now();
    let configs = load(&asked.pipes)?;
    let calls = |config: &PipeConfig| {
        config.sinks.iter().any(|sink| matches!(sink.kind, SinkKind::Http(_)))
    };
    let receiver = if configs.iter().any(calls) { Some(Receiver::start()?) } else { None };
    let mut proof = Proof::new(asked);
    proof.notes = notes(&configs, asked)?;
    let source = Source::new(&asked.supply, &configs, asked.seed)?;
    let mut common = Common { asked, source, next: 0, receiver };
    let mut schedule = Schedule::new(asked.seed, common.receiver.is_some());
    if asked.plant.is_some() {
        schedule.no_io_errors();
    }
    loop {
        let number = proof.runs;
        let seed = asked.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9));
        let mut run = Run::new(&mut common, number, seed)?;
        proof.runs += 1;
        one_run(&mut run, &mut schedule, &mut proof, began)?;
        finish(&mut run, &mut proof)?;
        proof.lives += run.lives();
        proof.acknowledged += run.model.sent.iter().filter(|sent| sent.acked).count() as u64;
        proof.seconds = began.elapsed().as_secs_f64();
        proof.calls_failed = common.receiver.as_ref().map_or(0, Receiver::failed);
        (proof.ops, proof.sorts_visited) = schedule.visited();
        if std::io::stderr().is_terminal() {
            moving.show(&proof.line());
        }
        if !proof.holds() || proof.is_over(asked, began) {
            break;
        }
    }
    moving.clear();
    if proof.holds() && asked.plant.is_none() {
        proof.strace = Some(strace::cross_check()?);
    }
    proof.seconds = began.elapsed().as_secs_f64();
    Ok(proof)
}

fn notes(configs: &[PipeConfig], asked: &Asked) -> Result<Vec<String>, Failure> {
    let place = Place::new(false, u64::MAX)?;
    let mut notes = redirect(configs.to_vec(), &place, None).notes;
    if asked.data_dir.join("ledger").is_dir() {
        notes.push(format!("begins with a copy of {}", asked.data_dir.display()));
    }
    Ok(notes)
}

/// Lives that end badly.
fn one_run(
    run: &mut Run<'_, '_>,
    schedule: &mut Schedule,
    proof: &mut Proof,
    began: Instant,
) -> Result<(), Failure> {
    for life in 0..LIVES {
        let first = life == 0;
        let records = schedule.must_record(first);
        let shape = if records { Shape::Calm } else { schedule.next(first) };
        let lived = run.life(shape, proof.usual)?;
        if records && let Some(ended) = &lived.ended {
            schedule.recorded(first, ended.ops);
            proof.usual = lived.took;
        }
        count(proof, shape, &lived);
        if let Some(trouble) = trouble(shape, &lived) {
            proof
                .trouble
                .push(format!("run {}, life {life} ({shape:?}): {trouble}", proof.runs - 1));
            return Ok(());
        }
        let ends_era = life == LIVES / 2 && proof.runs.is_multiple_of(ERA_EVERY);
        if ends_era
            && proof.plant.is_none()
            && let Some(drained) = run.new_era()?
        {
            proof.eras += 1;
            if let Some(trouble) = trouble(Shape::Calm, &drained) {
                proof.trouble.push(format!("between eras: {trouble}"));
                return Ok(());
            }
        }
        if run.is_long() || proof.time_is_over(began) {
            break;
        }
    }
    Ok(())
}

fn count(proof: &mut Proof, shape: Shape, lived: &Lived) {
    proof.power_losses += u64::from(lived.lost_power);
    let hit = lived.fault.is_some();
    match shape {
        Shape::KillAt(_) if hit && lived.ended.is_none() => proof.kills_at += 1,
        Shape::Io(..) if hit => {
            proof.io_errors += 1;
            if has_stopped(lived) {
                proof.io_stopped += 1;
            } else if let Some(what) = &lived.fault {
                *proof.went_on.entry(operation(what)).or_default() += 1;
            }
        }
        Shape::Full(..) if hit => {
            proof.full_disks += 1;
            let pipes = lived.ended.as_ref().is_none_or(|ended| !ended.failures.is_empty());
            proof.full_stopped += u64::from(pipes);
        }
        Shape::ClockJump => proof.clock_jumps += 1,
        _ => {}
    }
    proof.kills_anytime += u64::from(lived.killed);
}

/// Whether a pipe or the broker refused to go on.
fn has_stopped(lived: &Lived) -> bool {
    lived.ended.as_ref().is_none_or(|it| !it.failures.is_empty() || !it.refused.is_empty())
}

/// An operation without its number, and of its path only the last folder and the kind of file.
fn operation(what: &str) -> String {
    let mut words = what.split(' ').skip(1);
    let name: Vec<&str> = words.by_ref().take_while(|word| !word.starts_with('/')).collect();
    let path = what.split(' ').find(|word| word.starts_with('/')).map(Path::new);
    let folder = path.and_then(Path::parent).and_then(Path::file_name);
    let kind = path.and_then(Path::extension);
    let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or_default().to_owned();
    format!("{} in {}/*.{}", name.join(" "), text(folder), text(kind))
}

/// What a life did that nothing explains.
fn trouble(shape: Shape, lived: &Lived) -> Option<String> {
    if let Some(trouble) = &lived.trouble {
        return Some(trouble.clone());
    }
    let ended = lived.ended.as_ref()?;
    let failures: Vec<&str> =
        ended.failures.iter().chain(&ended.refused).map(String::as_str).collect();
    let told = lived.fault.is_some() || shape == Shape::Calls;
    (!told && !failures.is_empty()).then(|| failures.join("; "))
}

/// Settles what is left, and compares.
fn finish(run: &mut Run<'_, '_>, proof: &mut Proof) -> Result<(), Failure> {
    let drained = run.drain()?;
    if let Some(trouble) = trouble(Shape::Calm, &drained) {
        proof.trouble.push(format!("run {}, at the end: {trouble}", proof.runs - 1));
    }
    let found = run.check()?;
    if found.is_nothing() {
        return Ok(());
    }
    proof.lost += found.lost.len() as u64;
    proof.twice += found.twice.len() as u64;
    proof.imbalance += found.imbalance.len() as u64;
    proof.strange += found.strange.len() as u64;
    let name = |is: &usize| run.model.all.get(*is).map(|one| shown(&one.name)).unwrap_or_default();
    let lost: Vec<String> = found.lost.iter().take(NAMED_MAX).map(name).collect();
    proof.named.extend(lost.into_iter().map(|name| format!("lost: {name}")));
    let rest =
        [("twice", &found.twice), ("imbalance", &found.imbalance), ("strange", &found.strange)];
    for (word, all) in rest {
        proof.named.extend(all.iter().take(NAMED_MAX).map(|what| format!("{word}: {what}")));
    }
    if !found.lost.is_empty() && proof.trouble.is_empty() {
        proof.shadowed += run.shadowed(&found.lost)?.len() as u64;
    }
    Ok(())
}

/// How long a round takes before one was recorded.
pub(super) const USUAL: Duration = Duration::from_millis(300);
