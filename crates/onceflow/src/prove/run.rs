//! A run: a copy of the state, lives that end badly, one that doesn't, and the check.

use std::time::{Duration, Instant};

use pipe::config::{ClockChoice, PipeConfig, SourceConfig};

use super::chance::Chance;
use super::check::{self, Before, Check, Found};
use super::child::Life;
use super::copy::copy;
use super::dead::Kept;
use super::life::{self, Lived, Meanwhile};
use super::model::{Model, Number};
use super::options::Asked;
use super::outputs;
use super::place::Place;
use super::receiver::Receiver;
use super::redirect::{Redirected, redirect};
use super::schedule::Shape;
use super::supply::Source;
use crate::commands::load;
use crate::exit::Failure;

/// Events of a life.
const EVENTS: (u64, u64) = (4, 20);
/// Copies of earlier events among them, in hundredths.
const COPIES_PERCENT: u64 = 30;
/// A life ends when nothing has happened for so long; ms.
const IDLE_MS: u64 = 30;
/// Longer than a pipe that has no room waits before it tries again.
const IDLE_FULL_MS: u64 = 400;
/// Longer than a call takes that is answered too late.
const IDLE_CALLS_MS: u64 = 700;
/// What is left is settled when nothing has happened for so long; ms.
const IDLE_LAST_MS: u64 = 500;
/// The longest life; ms.
const LIFE_MS_MAX: u64 = 20_000;
/// Lives that settle what is left, at most.
const DRAINS_MAX: usize = 12;
/// A wall clock that is further behind is refused at a start; a part of that is used.
const BACK_MS_MAX: i64 = 4 * 60_000;
/// Eras are made where no window is longer; ms.
const WINDOW_MS_MAX: i64 = 2 * 86_400_000;
/// So far beyond the longest window and lateness an era begins; ms.
const ERA_GAP_MS: i64 = 3_600_000;

/// What windows allow the clock to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    min_ms: i64,
    max_ms: i64,
    lateness_ms: i64,
    /// Recorded times come from the clock, not from the events.
    by_clock: bool,
}

impl Windows {
    fn of(configs: &[PipeConfig]) -> Windows {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let mut windows = Windows { min_ms: i64::MAX, max_ms: 0, lateness_ms: 0, by_clock: true };
        for dedup in configs.iter().filter_map(|config| config.dedup.as_ref()) {
            let all = dedup.windows.iter().map(|(_, window)| *window).chain([dedup.window]);
            for window in all {
                windows.min_ms = windows.min_ms.min(ms(window));
                windows.max_ms = windows.max_ms.max(ms(window));
            }
            windows.lateness_ms = windows.lateness_ms.max(ms(dedup.lateness));
            windows.by_clock &= dedup.clock != ClockChoice::Event;
        }
        windows
    }

    /// Copies of an era are all within a window: so far the clock may go either way. What real
    /// time takes is the rest.
    fn swing_ms(self) -> i64 {
        (self.min_ms / 4).min(BACK_MS_MAX / 2)
    }
}

/// The parts that all runs share.
pub(super) struct Common<'a> {
    pub(super) asked: &'a Asked,
    pub(super) source: Source,
    /// Number of the next new event.
    pub(super) next: u64,
    pub(super) receiver: Option<Receiver>,
}

/// A run that is under way.
pub(super) struct Run<'a, 'b> {
    common: &'b mut Common<'a>,
    pub(super) place: Place,
    pub(super) redirected: Redirected,
    pub(super) model: Model,
    before: Before,
    chance: Chance,
    windows: Windows,
    era: u32,
    /// By how much the clock is off now, and at most in this era.
    clock_ms: i64,
    era_ms: i64,
    /// Sent, not acknowledged, to be sent again.
    again: Vec<Number>,
    is_copy: bool,
    lives: u64,
    began: Instant,
}

impl<'a, 'b> Run<'a, 'b> {
    pub(super) fn new(
        common: &'b mut Common<'a>,
        number: u64,
        seed: u64,
    ) -> Result<Run<'a, 'b>, Failure> {
        let place = Place::new(common.asked.keep, number)?;
        let at = common.receiver.as_ref().map(Receiver::at);
        let redirected = redirect(load(&common.asked.pipes)?, &place, at);
        let is_copy = copy(&common.asked.data_dir, &redirected.moved, &place)?;
        for config in &redirected.configs {
            if matches!(config.source, SourceConfig::File(_)) {
                place.append(&config.pipe, &[])?;
            }
        }
        if common.source.is_recorded() {
            common.next = 0; // the copy knows none of them
        }
        if let Some(receiver) = &common.receiver {
            receiver.clear();
        }
        let model = Model::new(&redirected)?;
        let (before, _) = check::counters(&place)?;
        let windows = Windows::of(&redirected.configs);
        Ok(Run {
            common,
            place,
            redirected,
            model,
            before,
            chance: Chance::new(seed),
            windows,
            era: 0,
            clock_ms: 0,
            era_ms: 0,
            again: Vec::new(),
            is_copy,
            lives: 0,
            began: Instant::now(),
        })
    }

    /// Whether real time has used up what the windows leave.
    pub(super) fn is_long(&self) -> bool {
        let took = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        took > self.windows.min_ms / 4
    }

    /// One life with new events, copies, and what wasn't acknowledged.
    pub(super) fn life(&mut self, shape: Shape, usual: Duration) -> Result<Lived, Failure> {
        let lines = self.events()?;
        self.lives += 1;
        let anytime = |chance: &mut Chance| {
            let us = u64::try_from(usual.as_micros()).unwrap_or(u64::MAX);
            Some(Duration::from_micros(chance.below(us + us / 4)))
        };
        let mut meanwhile = Meanwhile::default();
        match shape {
            Shape::KillAnytime => meanwhile.kill_after = anytime(&mut self.chance),
            Shape::ClockJump => {
                meanwhile.clock = anytime(&mut self.chance).map(|after| (after, self.jump()));
                meanwhile.kill_after = anytime(&mut self.chance);
            }
            _ => {}
        }
        let idle_ms = match shape {
            Shape::Full(..) => IDLE_FULL_MS,
            Shape::Calls => IDLE_CALLS_MS,
            _ => IDLE_MS,
        };
        self.misbehave(shape == Shape::Calls);
        let life = self.as_child(shape, idle_ms);
        let lived = life::run(&life, &self.place, lines, meanwhile)?;
        if let Some((_, offset_ms)) = meanwhile.clock {
            self.clock_ms = offset_ms;
            self.place.set_clock(offset_ms)?;
        }
        self.misbehave(false);
        self.heard(&lived);
        Ok(lived)
    }

    fn misbehave(&self, misbehaves: bool) {
        if let Some(receiver) = &self.common.receiver {
            receiver.misbehave(misbehaves);
        }
    }

    fn as_child(&mut self, shape: Shape, idle_ms: u64) -> Life {
        Life {
            pipes: self.common.asked.pipes.clone(),
            root: self.place.root().to_owned(),
            simulated: shape.is_simulated(),
            fault: shape.wrong(),
            seed: self.chance.next(),
            plant: self.common.asked.plant,
            receiver: self.common.receiver.as_ref().map(Receiver::at),
            idle_ms,
            life_ms_max: LIFE_MS_MAX,
        }
    }

    fn heard(&mut self, lived: &Lived) {
        for number in &lived.acked {
            self.model.ack(*number);
        }
        let acked = |number: &Number| {
            let sent = usize::try_from(*number).ok().and_then(|at| self.model.sent.get(at));
            sent.is_none_or(|sent| sent.acked)
        };
        self.again.retain(|number| !acked(number));
    }

    /// The clock's next offset, so that copies of this era stay within their window.
    fn jump(&mut self) -> i64 {
        let swing_ms = self.windows.swing_ms();
        let by = self.chance.below(u64::try_from(2 * swing_ms).unwrap_or(0));
        self.era_ms + i64::try_from(by).unwrap_or(0) - swing_ms
    }

    /// Lets every window end. What is sent again from now on is another event. Whether that can be.
    pub(super) fn new_era(&mut self) -> Result<Option<Lived>, Failure> {
        if !self.windows.by_clock || self.windows.max_ms > WINDOW_MS_MAX {
            return Ok(None);
        }
        let drained = self.drain()?;
        // What wasn't acknowledged may be there: it would be delivered in both eras.
        self.again.clear();
        let reach_ms = self.windows.max_ms + self.windows.lateness_ms;
        self.era_ms += reach_ms + self.windows.swing_ms() + ERA_GAP_MS;
        self.clock_ms = self.era_ms;
        self.era += 1;
        if let Some(receiver) = &self.common.receiver {
            receiver.forget_keys();
        }
        self.place.set_clock(self.clock_ms)?;
        Ok(Some(drained))
    }

    /// The lines that the child gets; those of files are written.
    fn events(&mut self) -> Result<Vec<u8>, Failure> {
        let mut numbers = std::mem::take(&mut self.again);
        for number in &mut numbers {
            // Sent again, it is another copy: the first one may have arrived.
            let sent = usize::try_from(*number).ok().and_then(|at| self.model.sent.get(at));
            if let Some(sent) = sent.cloned() {
                *number = self.model.send(sent.pipe, sent.payload, self.era);
            }
        }
        let count = EVENTS.0 + self.chance.below(EVENTS.1 - EVENTS.0);
        for _ in 0..count {
            numbers.extend(self.event());
        }
        let mut lines = Vec::new();
        for number in &numbers {
            let sent = usize::try_from(*number).ok().and_then(|at| self.model.sent.get(at));
            let Some(sent) = sent.cloned() else { continue };
            let config = self.redirected.configs.get(sent.pipe);
            if let Some(config) = config.filter(|it| matches!(it.source, SourceConfig::File(_))) {
                self.place.append(&config.pipe, &[&sent.payload])?;
                self.model.ack(*number);
            } else {
                lines.extend_from_slice(format!("{number} {} ", sent.pipe).as_bytes());
                lines.extend_from_slice(&sent.payload);
                lines.push(b'\n');
                self.again.push(*number);
            }
        }
        Ok(lines)
    }

    /// A new event, or a copy of an earlier one.
    fn event(&mut self) -> Option<Number> {
        let pipes = self.redirected.configs.len().max(1) as u64;
        let sent = self.model.sent.len() as u64;
        let copy = sent > 0 && self.chance.percent(COPIES_PERCENT);
        let number = self.common.next;
        let pipe = (number % pipes) as usize;
        let new = if copy { None } else { self.common.source.event(number, pipe) };
        if let Some(payload) = new {
            self.common.next += 1;
            return Some(self.model.send(pipe, payload, self.era));
        }
        let of = self.chance.below(sent);
        let original = usize::try_from(of).ok().and_then(|at| self.model.sent.get(at)).cloned()?;
        let pipe = self.mate(original.pipe);
        Some(self.model.send(pipe, original.payload, self.era))
    }

    /// A pipe that shares the scope of this one, or itself.
    fn mate(&mut self, pipe: usize) -> usize {
        let scope = |config: &PipeConfig| config.dedup.as_ref().map(|dedup| dedup.scope.clone());
        let own = self.redirected.configs.get(pipe).and_then(scope);
        let configs = self.redirected.configs.iter().enumerate();
        let mates: Vec<usize> = configs
            .filter(|(_, config)| own.is_some() && scope(config) == own)
            .map(|(number, _)| number)
            .collect();
        let chosen = self.chance.below(mates.len() as u64) as usize;
        mates.get(chosen).copied().unwrap_or(pipe)
    }

    /// Lives without events and faults, until one finds nothing left to settle.
    pub(super) fn drain(&mut self) -> Result<Lived, Failure> {
        let mut lived = Lived::default();
        for _ in 0..DRAINS_MAX {
            let life = self.as_child(Shape::Calm, IDLE_LAST_MS);
            lived = life::run(&life, &self.place, Vec::new(), Meanwhile::default())?;
            self.lives += 1;
            let Some(ended) = &lived.ended else { break };
            if ended.settled == 0 || !ended.failures.is_empty() {
                break;
            }
        }
        Ok(lived)
    }

    /// Compares everything.
    pub(super) fn check(&mut self) -> Result<Found, Failure> {
        self.model.work_out()?;
        let rows =
            outputs::read(&self.redirected.outputs, &self.place, self.common.receiver.as_ref())?;
        let rejected = check::rejected_files(&self.redirected.configs, &self.place.data());
        let kept = Kept::read(&self.place.disk(), &rejected);
        let check = Check {
            model: &mut self.model,
            redirected: &self.redirected,
            rows,
            kept,
            before: &self.before,
            place: &self.place,
            is_copy: self.is_copy,
        };
        check.check()
    }

    /// Sends a copy of each lost event: those that don't come out now were shadowed. They are
    /// remembered as settled, and nobody has them.
    pub(super) fn shadowed(&mut self, lost: &[usize]) -> Result<Vec<usize>, Failure> {
        let mut lines = Vec::new();
        for is in lost {
            let original = self.model.sent.iter().find(|sent| sent.is == *is).cloned();
            let Some(original) = original else { continue };
            let config = self.redirected.configs.get(original.pipe);
            if let Some(config) = config.filter(|it| matches!(it.source, SourceConfig::File(_))) {
                self.place.append(&config.pipe, &[&original.payload])?;
                continue;
            }
            // No number of the model: it stays as it was.
            lines.extend_from_slice(format!("{} {} ", u64::MAX, original.pipe).as_bytes());
            lines.extend_from_slice(&original.payload);
            lines.push(b'\n');
        }
        let life = self.as_child(Shape::Calm, IDLE_LAST_MS);
        life::run(&life, &self.place, lines, Meanwhile::default())?;
        self.drain()?;
        let still = self.check()?.lost;
        Ok(lost.iter().copied().filter(|is| still.contains(is)).collect())
    }

    /// Children so far.
    pub(super) fn lives(&self) -> u64 {
        self.lives
    }
}
