//! Replays: events that come again into a pipe because somebody asked. What `archive replay` and
//! `dead replay` have in common.
//!
//! A command makes an [`Asked`] and calls [`run`]: the owner of the data folder does it, asked over
//! the socket, or the command opens the folder itself and runs the pipe with its inbox only. Either
//! way [`Kind`] makes the [`Job`] where it runs, and [`drive`] does it: batches out of the job go
//! into the pipe's inbox, what became of each event goes back to the job.

mod alone;
mod drive;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::archive::playback::Polled;
use event::{Clock, Outcome};
use journal::Disk;
use pipe::Session;
use pipe::config::PipeConfig;
use pipe::replay::ReplayOutcome;
use pipe::status::Phase;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::progress::MovingLine;
use crate::tap::{self, Answers, JobRequest};
use crate::test_clock::OffsetClock;
use drive::{Around, drive};

/// What comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Events out of the archive.
    Archive,
    /// Dead letters.
    Dead,
}

impl Kind {
    /// Makes the job, where it is going to run.
    fn job(self, args: Value, place: &Place<'_>) -> Result<Box<dyn Job>, Failure> {
        match self {
            Kind::Archive => crate::archive::job(args, place),
            Kind::Dead => crate::dead::replay::job(args, place),
        }
    }
}

/// A request, as it goes through the socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    /// The pipe that the events go into.
    pub(crate) pipe: String,
    /// What the kind wants to know; a struct of its own, as JSON.
    pub(crate) args: Value,
}

/// Where a job finds its things.
pub(crate) struct Place<'a> {
    pub(crate) config: &'a PipeConfig,
    pub(crate) data_dir: &'a Path,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One replay.
pub(crate) trait Job: Send {
    /// Its id: unique, and part of every batch's `replay`.
    fn id(&self) -> &str;

    /// What is to go in now. Offsets of the events differ within the job.
    ///
    /// # Errors
    /// Why it can't go on, for a person.
    fn poll(&mut self, now_ms: i64) -> Result<Polled, String>;

    /// An event of it settled.
    fn settled(&mut self, _: &ReplayOutcome) {}

    /// Everything settled, or the replay was interrupted. Says what it has to say about it; each
    /// problem is a line, and makes the command fail.
    fn end(&mut self) -> Report;
}

/// What a job says at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// For `--json`, as the kind likes it.
    pub(crate) details: Value,
    /// What went wrong, a line each.
    pub(crate) problems: Vec<String>,
}

/// What became of the events so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// They went into the pipe.
    pub(crate) submitted: u64,
    pub(crate) delivered: u64,
    pub(crate) duplicate: u64,
    pub(crate) filtered: u64,
    pub(crate) rejected: u64,
    pub(crate) dead: u64,
    pub(crate) returned: u64,
    /// It was stopped before everything had settled.
    pub(crate) interrupted: bool,
}

impl Tally {
    /// How many have an outcome.
    pub(crate) const fn settled(&self) -> u64 {
        self.delivered + self.duplicate + self.filtered + self.rejected + self.dead + self.returned
    }

    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Delivered => &mut self.delivered,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Filtered => &mut self.filtered,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Dead => &mut self.dead,
            Outcome::Returned => &mut self.returned,
        } += 1;
    }

    /// `12 events: 10 delivered, 2 duplicate`.
    pub(crate) fn text(&self) -> String {
        let parts = [
            (self.delivered, "delivered"),
            (self.duplicate, "duplicate"),
            (self.filtered, "filtered"),
            (self.rejected, "rejected"),
            (self.dead, "dead"),
            (self.returned, "returned"),
            (self.submitted - self.settled().min(self.submitted), "not settled"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> =
            parts.map(|(count, name)| format!("{} {name}", console::show::count(*count))).collect();
        let events = console::show::counted(self.submitted, "event");
        if parts.is_empty() { events } else { format!("{events}: {}", parts.join(", ")) }
    }
}

/// The end of a replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) id: String,
    pub(crate) tally: Tally,
    pub(crate) report: Report,
}

impl Done {
    /// How the command ends: an event that died or was rejected again is a failure, and so is
    /// whatever the job calls a problem.
    pub(crate) fn exit(&self) -> Exit {
        let tally = &self.tally;
        let whole = tally.dead == 0 && tally.rejected == 0 && !tally.interrupted;
        if whole && self.report.problems.is_empty() { Exit::Ok } else { Exit::Failed }
    }
}

/// A line of the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// How far it is.
    Progress(Tally),
    /// The end.
    Done(Done),
    /// It can't be done; the flag says that the request itself is wrong.
    Refused(bool, String),
}

/// Does a replay and shows how far it is. `pipes` are the config files, should nobody own the
/// data folder.
pub(crate) fn run(
    asked: &Asked,
    pipes: &[PathBuf],
    data_dir: &Path,
    clock: &OffsetClock,
    shown: &mut Shown,
) -> Result<Done, Failure> {
    let mut heard = Heard::default();
    let request = JobRequest::Replay(Box::new(asked.clone()));
    let answered = tap::ask_job(data_dir, request, |line| {
        heard.line(line, shown);
        true
    });
    let lost = |error| Failure::new(Exit::Failed, format!("the run doesn't answer: {error}"));
    let done = match answered.map_err(lost)? {
        Some(()) => heard.done(),
        None => alone::run(asked, pipes, data_dir, clock, shown),
    };
    shown.end();
    done
}

/// The owner's end: does what was asked, and answers how far it is.
pub(crate) fn serve(session: &Session, asked: &Asked, answers: &Answers) {
    let answer = match owned(session, asked, answers) {
        Ok(done) => Answer::Done(done),
        Err(failure) => Answer::Refused(failure.exit == Exit::Usage, failure.message),
    };
    let _ = answers.send(answer); // whoever asked may have gone
}

fn owned(session: &Session, asked: &Asked, answers: &Answers) -> Result<Done, Failure> {
    let pipe = asked.pipe.as_str();
    let config = session.configs().iter().find(|config| config.pipe == pipe);
    let Some((config, inbox)) = config.zip(session.inbox(pipe)) else {
        return Err(Failure::usage(format!("the run has no pipe `{pipe}`")));
    };
    let (disk, clock) = (Arc::clone(session.disk()), Arc::clone(session.clock()));
    let place = Place { config, data_dir: session.data_dir(), disk, clock };
    let status = session.pipes().iter().find(|status| status.name() == pipe);
    let has_ended =
        || status.is_some_and(|status| matches!(status.phase(), Phase::Ended | Phase::Failed(_)));
    if has_ended() {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "pipe `{pipe}` has ended there, and the run goes on without it: stop the run, and \
                 replay again"
            ),
        ));
    }
    let mut job = asked.kind.job(asked.args.clone(), &place)?;
    let mut around = Around {
        clock: place.clock.as_ref(),
        // An inbox of a pipe that has ended takes nothing, and says nothing.
        stopped: &|| answers.is_over() || has_ended(),
        tell: &mut |tally| answers.send(Answer::Progress(tally.clone())).is_ok(),
    };
    let tally = drive(job.as_mut(), &inbox, &mut around);
    let report = job.end();
    let tally = tally.map_err(|why| Failure::new(Exit::Failed, why))?;
    tracing::info!(pipe, id = job.id(), "replayed {}", tally.text());
    Ok(Done { id: job.id().to_owned(), tally, report })
}

/// The asking end: what the owner of a data folder answers, line by line.
#[derive(Default)]
struct Heard(Option<Answer>);

impl Heard {
    /// A line.
    fn line(&mut self, line: Value, shown: &mut Shown) {
        match serde_json::from_value(line) {
            Ok(Answer::Progress(tally)) => shown.show(&tally),
            Ok(answer) => self.0 = Some(answer),
            Err(error) => self.0 = Some(Answer::Refused(false, error.to_string())),
        }
    }

    /// What all of them say.
    fn done(self) -> Result<Done, Failure> {
        match self.0 {
            Some(Answer::Done(done)) => Ok(done),
            Some(Answer::Refused(true, why)) => Err(Failure::usage(why)),
            Some(Answer::Refused(false, why)) => {
                Err(Failure::new(Exit::Failed, format!("the run refused: {why}")))
            }
            Some(Answer::Progress(_)) | None => {
                Err(Failure::new(Exit::Failed, "the run doesn't answer: it ended"))
            }
        }
    }
}

/// The config of the pipe that a command is about: the one that `name` names, or the only one.
pub(crate) fn the_pipe<'a>(
    configs: &'a [PipeConfig],
    name: Option<&str>,
) -> Result<&'a PipeConfig, Failure> {
    let names = || configs.iter().map(|config| config.pipe.as_str()).collect::<Vec<_>>().join(", ");
    match (name, configs) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage(format!("which pipe? --pipe takes one of: {}", names()))),
        (Some(name), _) => configs.iter().find(|config| config.pipe == name).ok_or_else(|| {
            Failure::usage(format!("--pipe: there is no pipe `{name}`; there are: {}", names()))
        }),
    }
}

/// The sinks that `--to-sink` names, as bits; all that route to an event without it.
pub(crate) fn sinks(config: &PipeConfig, to_sink: Option<&str>) -> Result<u64, Failure> {
    let Some(name) = to_sink else { return Ok(u64::MAX) };
    let place = config.sinks.iter().position(|sink| sink.name == name);
    let bit = place.and_then(|place| 1_u64.checked_shl(u32::try_from(place).ok()?));
    bit.ok_or_else(|| {
        let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let (pipe, names) = (&config.pipe, names.join(", "));
        Failure::usage(format!("--to-sink: `{pipe}` has no sink `{name}`; it has: {names}"))
    })
}

/// An id that nobody else has: what it is, when, and 32 random bits.
pub(crate) fn new_id(kind: &str, now_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{kind}-{}-{:08x}", at.strftime("%Y%m%dT%H%M%S"), rand::random::<u32>())
}

/// Shows how far a replay is: a line that moves on a terminal, nothing elsewhere.
pub(crate) struct Shown(Option<MovingLine>);

impl Shown {
    pub(crate) fn new(moving: MovingLine, quiet: bool) -> Shown {
        use std::io::IsTerminal as _;
        Shown((!quiet && std::io::stderr().is_terminal()).then_some(moving))
    }

    fn show(&mut self, tally: &Tally) {
        if let Some(moving) = &self.0 {
            moving.show(&tally.text());
        }
    }

    fn end(&mut self) {
        if let Some(moving) = &self.0 {
            moving.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_says_what_is_not_settled() {
        let mut tally = Tally { submitted: 3, ..Tally::default() };
        assert_eq!(tally.text(), "3 events: 3 not settled");
        tally.count(Outcome::Delivered);
        tally.count(Outcome::Dead);
        assert_eq!(tally.text(), "3 events: 1 delivered, 1 dead, 1 not settled");
        assert_eq!(Tally::default().text(), "0 events");
    }

    #[test]
    fn ids_say_what_and_when() {
        let id = new_id("archive", 1_762_164_303_000);
        assert!(id.starts_with("archive-20251103T100503-"), "{id}");
        assert_ne!(id, new_id("archive", 1_762_164_303_000));
    }
}
