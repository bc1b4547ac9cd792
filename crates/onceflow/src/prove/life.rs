//! Starts a child, feeds it, and hears how it ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::child::{Ended, Life};
use super::place::Place;
use crate::exit::{Exit, Failure};

/// A child that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What the parent does meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meanwhile {
    /// Kills it after this time.
    pub(super) kill_after: Option<Duration>,
    /// Sets its clock to this, after that time.
    pub(super) clock: Option<(Duration, i64)>,
}

/// What became of a child.
#[derive(Clone, Debug, Default)]
pub(super) struct Lived {
    /// Numbers of the events that were acknowledged.
    pub(super) acked: Vec<u64>,
    /// What went wrong in it, as it was told to.
    pub(super) fault: Option<String>,
    /// It lost its power.
    pub(super) lost_power: bool,
    /// It was killed from here.
    pub(super) killed: bool,
    /// It ended in order.
    pub(super) ended: Option<Ended>,
    /// What nobody told it to do.
    pub(super) trouble: Option<String>,
    /// From start to end.
    pub(super) took: Duration,
}

fn cannot(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot run onceflow: {error}"))
}

/// Runs one child to its end. `lines` are the events that it gets.
pub(super) fn run(
    life: &Life,
    place: &Place,
    lines: Vec<u8>,
    meanwhile: Meanwhile,
) -> Result<Lived, Failure> {
    let text = serde_json::to_string(life).map_err(cannot)?;
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command
        .arg("--test-clock")
        .arg(place.clock())
        .args(["prove-child", &text])
        .env_remove("ONCEFLOW_DATA_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(place.new_log()?));
    let began = Instant::now();
    let mut child = command.spawn().map_err(cannot)?;
    let stdin = child.stdin.take();
    let said = listen(&mut child)?;
    let feeding = std::thread::spawn(move || feed(stdin, &lines));
    let mut lived = follow(&mut child, place, &said, meanwhile, began)?;
    let status = child.wait().map_err(cannot)?;
    let _ = feeding.join(); // what wasn't fed isn't acknowledged
    lived.took = began.elapsed();
    let told = lived.killed || lived.lost_power || lived.fault.is_some();
    if lived.trouble.is_none() && lived.ended.is_none() && !told {
        lived.trouble = Some(format!("it ended with {status}:\n{}", place.said()));
    }
    let panicked = place.said().contains("panicked at");
    if panicked {
        lived.trouble = Some(format!("it panicked:\n{}", place.said()));
    }
    Ok(lived)
}

fn feed(stdin: Option<ChildStdin>, lines: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(lines); // a child that is dead takes no more
    }
}

fn listen(child: &mut Child) -> Result<Receiver<String>, Failure> {
    let stdout = child.stdout.take().ok_or_else(|| cannot("no pipe to it"))?;
    let (sender, said) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(said)
}

fn follow(
    child: &mut Child,
    place: &Place,
    said: &Receiver<String>,
    meanwhile: Meanwhile,
    began: Instant,
) -> Result<Lived, Failure> {
    let mut lived = Lived::default();
    let mut clock = meanwhile.clock;
    let mut kill_at = meanwhile.kill_after.map(|after| began + after);
    let mut heard = Instant::now();
    loop {
        let mut wait = (heard + SILENCE_MAX).saturating_duration_since(Instant::now());
        if let Some(at) = kill_at {
            wait = wait.min(at.saturating_duration_since(Instant::now()));
        }
        if let Some((after, _)) = clock {
            wait = wait.min((began + after).saturating_duration_since(Instant::now()));
        }
        match said.recv_timeout(wait) {
            Ok(line) => {
                heard = Instant::now();
                hear(&mut lived, &line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(lived),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        if let Some((after, offset_ms)) = clock
            && now >= began + after
        {
            place.set_clock(offset_ms)?;
            clock = None;
        }
        if kill_at.is_some_and(|at| now >= at) {
            // One that has ended is not killed any more.
            lived.killed = lived.ended.is_none() && kill(child);
            kill_at = None;
        }
        if now >= heard + SILENCE_MAX {
            lived.trouble = Some(format!("it hung and was killed:\n{}", place.said()));
            kill(child);
            return Ok(lived);
        }
    }
}

fn kill(child: &mut Child) -> bool {
    // It isn't waited for yet, so the number is still its own.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

fn hear(lived: &mut Lived, line: &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "acked" => lived.acked.extend(rest.split(' ').filter_map(|n| n.parse::<u64>().ok())),
        "fault" => lived.fault = Some(rest.to_owned()),
        "lost" => lived.lost_power = true,
        "end" => lived.ended = serde_json::from_str(rest).ok(),
        _ => lived.trouble = Some(line.to_owned()),
    }
}
