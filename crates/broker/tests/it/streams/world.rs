//! What streams must hold, as plain as it can be said: every put that was acknowledged, in order,
//! and perhaps what was under way when the disk crashed.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::streams::{SequenceNumber, Stream, Streams};
use broker::{BrokerError, Durable, Producer, Sequence};
use event::{BatchNumber, Clock, TestClock};
use journal::{Disk, SimDisk};

use super::kit::{HOUR_MS, drain, open, producer, record_for, shard_records};

/// Why a run ended early.
pub(super) enum Stop {
    Crash,
    Violation(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PutRef {
    arrived_ms: i64,
    records: Vec<(u32, String)>,
    producer: Option<(Producer, Sequence)>,
}

#[derive(Clone, Debug, Default)]
struct StreamRef {
    shards: u32,
    retention_h: u32,
    tags: BTreeMap<String, String>,
    puts: Vec<PutRef>,
    /// Submitted after those, in order, and not answered.
    unsure: Vec<PutRef>,
    /// Retention and tags that were asked for and not answered.
    unsure_settings: Option<(u32, BTreeMap<String, String>)>,
    /// What arrived before was hidden once.
    gone_before_ms: i64,
}

/// A change of which streams there are that was not answered.
#[derive(Clone, Debug)]
enum Change {
    Create(String, u32),
    Delete(String),
}

/// The streams as their user knows them.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    streams: BTreeMap<String, StreamRef>,
    change: Option<Change>,
    /// Makes data that was never there.
    made: u64,
}

/// What is done to the streams.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Create(&'static str, u32),
    /// Puts that are submitted together; of each the shards of its records.
    Put(&'static str, Vec<Vec<u32>>),
    /// From a producer: how many that repeat the last ones, and how many new ones.
    PutOnce(&'static str, u128, u32, u32),
    /// Retention and a tag.
    Settings(&'static str, u32, &'static str),
    Hours(i64),
    Trim,
    Delete(&'static str),
    /// Whether with a clean close.
    Reopen(bool),
}

fn crash_or(disk: &SimDisk, what: &str, error: &BrokerError) -> Stop {
    if disk.has_crashed() { Stop::Crash } else { Stop::Violation(format!("{what}: {error}")) }
}

/// Opens, checks, does the steps, checks.
pub(super) fn run(
    disk: &SimDisk,
    clock: &TestClock,
    steps: &[Step],
    world: &mut World,
) -> Result<(), Stop> {
    let stop = |error: &BrokerError| crash_or(disk, "open", error);
    let mut streams = open(disk, clock).map_err(|error| stop(&error))?;
    world.check(disk, clock, &streams)?;
    for step in steps {
        match step {
            Step::Reopen(clean) => {
                if *clean {
                    streams.close().map_err(|error| crash_or(disk, "close", &error))?;
                }
                drop(streams);
                streams = open(disk, clock).map_err(|error| stop(&error))?;
                world.check(disk, clock, &streams)?;
            }
            step => {
                let done = world.step(clock, &streams, step);
                done.map_err(|error| crash_or(disk, &format!("{step:?}"), &error))?;
            }
        }
    }
    world.check(disk, clock, &streams)
}

/// Does the steps on a disk where one operation fails, restarting where the streams stop, and
/// trying again where there was no space; what the fault led to.
pub(super) fn run_through_faults(
    disk: &SimDisk,
    clock: &TestClock,
    steps: &[Step],
    world: &mut World,
) -> Result<Vec<BrokerError>, String> {
    let mut errors = Vec::new();
    let mut streams = None;
    for step in steps {
        while world.applies(step) {
            let opened = match streams.take() {
                Some(streams) => streams,
                None => match open(disk, clock) {
                    Ok(opened) => {
                        world.check(disk, clock, &opened).map_err(violation)?;
                        opened
                    }
                    Err(error) => {
                        errors.push(error);
                        let again = open(disk, clock).map_err(|e| format!("opened again: {e}"))?;
                        world.check(disk, clock, &again).map_err(violation)?;
                        again
                    }
                },
            };
            // The check may have found that what was under way did happen, or didn't.
            if !world.applies(step) {
                streams = Some(opened);
                break;
            }
            if let Step::Reopen(clean) = step {
                errors.extend(if *clean { opened.close().err() } else { None });
                break;
            }
            match world.step(clock, &opened, step) {
                Ok(()) => streams = Some(opened),
                Err(error @ BrokerError::NoSpace { .. }) => {
                    // It did not happen.
                    world.forget();
                    errors.push(error);
                    streams = Some(opened);
                    continue;
                }
                Err(error @ BrokerError::Stopped { .. }) => errors.push(error),
                Err(error) => return Err(format!("{step:?}: {error}")),
            }
            break;
        }
    }
    if let Some(streams) = streams {
        // What a delete couldn't remove goes now.
        world.step(clock, &streams, &Step::Trim).map_err(|error| error.to_string())?;
        world.check(disk, clock, &streams).map_err(violation)?;
    }
    Ok(errors)
}

fn violation(stop: Stop) -> String {
    match stop {
        Stop::Crash => "a crash that nobody ordered".into(),
        Stop::Violation(what) => what,
    }
}

impl World {
    /// Whether a step makes sense, after one before it may not have happened.
    fn applies(&self, step: &Step) -> bool {
        match step {
            Step::Create(name, _) => !self.streams.contains_key(*name),
            Step::Put(name, puts) => self
                .streams
                .get(*name)
                .is_some_and(|known| puts.iter().flatten().all(|shard| *shard < known.shards)),
            Step::PutOnce(name, ..) | Step::Settings(name, ..) | Step::Delete(name) => {
                self.streams.contains_key(*name)
            }
            Step::Hours(_) | Step::Trim | Step::Reopen(_) => true,
        }
    }

    /// What was under way did not happen. Settings are two changes, of which one may have.
    fn forget(&mut self) {
        self.change = None;
        self.streams.values_mut().for_each(|known| known.unsure.clear());
    }

    /// Of the streams that are there.
    pub(super) fn names(&self) -> Vec<&'static str> {
        ["a", "b", "c"].into_iter().filter(|name| self.streams.contains_key(*name)).collect()
    }

    fn data(&mut self) -> String {
        self.made += 1;
        format!("{:-<60}", self.made)
    }

    fn step(
        &mut self,
        clock: &TestClock,
        streams: &Streams,
        step: &Step,
    ) -> Result<(), BrokerError> {
        clock.advance(1);
        match step {
            Step::Create(name, shards) => {
                self.change = Some(Change::Create((*name).into(), *shards));
                streams.create(name, *shards, BTreeMap::new())?;
                self.changed();
            }
            Step::Delete(name) => {
                self.change = Some(Change::Delete((*name).into()));
                streams.delete(name)?;
                self.changed();
            }
            Step::Put(name, puts) => self.put(clock, &streams.get(name)?, name, puts)?,
            Step::PutOnce(name, from, repeats, new) => {
                self.put_once(clock, &streams.get(name)?, name, *from, *repeats, *new)?;
            }
            Step::Settings(name, retention_h, tag) => {
                let stream = streams.get(name)?;
                let known = self.streams.get_mut(*name).unwrap();
                known.hide(clock);
                let tags = BTreeMap::from([("t".to_owned(), (*tag).to_owned())]);
                known.unsure_settings = Some((*retention_h, tags.clone()));
                stream.set_retention_h(*retention_h).wait()?;
                stream.set_tags(tags).wait()?;
                (known.retention_h, known.tags) = known.unsure_settings.take().unwrap();
            }
            Step::Hours(hours) => clock.advance(hours * HOUR_MS),
            Step::Trim => {
                self.streams.values_mut().for_each(|known| known.hide(clock));
                streams.trim();
            }
            Step::Reopen(_) => unreachable!("done by the run"),
        }
        Ok(())
    }

    /// The change has happened.
    fn changed(&mut self) {
        match self.change.take() {
            Some(Change::Create(name, shards)) => {
                let new = StreamRef {
                    shards,
                    retention_h: 24,
                    gone_before_ms: i64::MIN,
                    ..StreamRef::default()
                };
                assert!(self.streams.insert(name, new).is_none());
            }
            Some(Change::Delete(name)) => assert!(self.streams.remove(&name).is_some()),
            None => {}
        }
    }

    fn put(
        &mut self,
        clock: &TestClock,
        stream: &Arc<Stream>,
        name: &str,
        puts: &[Vec<u32>],
    ) -> Result<(), BrokerError> {
        let mut pending: Vec<Durable<_>> = Vec::new();
        for put in puts {
            let records: Vec<_> = put.iter().map(|shard| (*shard, self.data())).collect();
            let known = self.streams.get_mut(name).unwrap();
            let new =
                |(shard, data): &(u32, String)| record_for(*shard, known.shards, data.clone());
            let new = records.iter().map(new).collect();
            known.unsure.push(PutRef { arrived_ms: clock.now_ms(), records, producer: None });
            pending.push(stream.put(new));
        }
        let known = self.streams.get_mut(name).unwrap();
        let mut refused = None;
        for pending in pending {
            let answer = match pending.wait() {
                Ok(answer) => answer,
                // That one did not happen; those behind it may.
                Err(error @ BrokerError::NoSpace { .. }) => {
                    known.unsure.remove(0);
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let numbers: Vec<_> = answer.iter().map(|put| (put.shard, put.sequence.0)).collect();
            let put = known.unsure.remove(0);
            assert_eq!(numbers, known.numbers(&put), "numbers of a put to {name}");
            known.puts.push(put);
        }
        refused.map_or(Ok(()), Err)
    }

    fn put_once(
        &mut self,
        clock: &TestClock,
        stream: &Arc<Stream>,
        name: &str,
        from: u128,
        repeats: u32,
        new: u32,
    ) -> Result<(), BrokerError> {
        let from = producer(from);
        let through = self.streams[name].through(&from).map_or(0, |at| at.index);
        let first = through.saturating_sub(repeats) + 1;
        let at = |index| Sequence { batch: BatchNumber(1), index };
        let mut all = Vec::new();
        let mut stored = Vec::new();
        for index in first..=through + new {
            let (shard, data) = (index % self.streams[name].shards, self.data());
            all.push((at(index), record_for(shard, self.streams[name].shards, data.clone())));
            if index > through {
                stored.push((shard, data));
            }
        }
        let known = self.streams.get_mut(name).unwrap();
        let producer = Some((from.clone(), at(through + new)));
        if !stored.is_empty() {
            known.unsure.push(PutRef { arrived_ms: clock.now_ms(), records: stored, producer });
        }
        stream.put_once(&from, all).wait()?;
        known.puts.append(&mut known.unsure);
        assert_eq!(stream.published_through(&from), known.through(&from));
        Ok(())
    }

    /// Checks what is there, and takes it for the truth: what was once seen has to stay.
    fn check(&mut self, disk: &SimDisk, clock: &TestClock, streams: &Streams) -> Result<(), Stop> {
        let violation = |what: String| Stop::Violation(what);
        let names: Vec<_> = streams.list().iter().map(|s| s.name().to_owned()).collect();
        let known = |world: &Self| world.streams.keys().cloned().collect::<Vec<_>>();
        if known(self) != names {
            self.changed();
        }
        self.change = None;
        if known(self) != names {
            return Err(violation(format!("{names:?} are there, and not {:?}", known(self))));
        }
        for stream in streams.list() {
            let known = self.streams.get_mut(stream.name()).unwrap();
            let outcome = known.check(clock, &stream);
            let outcome = outcome.map_err(|error| crash_or(disk, "read", &error))?;
            outcome.map_err(|what| violation(format!("stream {}: {what}", stream.name())))?;
        }
        let folders = disk.list("/streams".as_ref()).unwrap();
        if folders.len() != names.len() + 1 {
            return Err(violation(format!("{folders:?} for {names:?}")));
        }
        Ok(())
    }
}

impl StreamRef {
    /// What would be the numbers of a put that comes now.
    fn numbers(&self, put: &PutRef) -> Vec<(u32, u64)> {
        let mut nexts = self.nexts();
        let number = |(shard, _): &(u32, String)| {
            nexts[*shard as usize] += 1;
            (*shard, nexts[*shard as usize] - 1)
        };
        put.records.iter().map(number).collect()
    }

    fn nexts(&self) -> Vec<u64> {
        let mut nexts = vec![1; self.shards as usize];
        for (shard, _) in self.puts.iter().flat_map(|put| &put.records) {
            nexts[*shard as usize] += 1;
        }
        nexts
    }

    fn through(&self, producer: &Producer) -> Option<Sequence> {
        let all = self.puts.iter().filter_map(|put| put.producer.as_ref());
        all.filter(|(of, _)| of == producer).map(|(_, at)| *at).max()
    }

    /// What retention takes now stays gone.
    fn hide(&mut self, clock: &TestClock) {
        let before = clock.now_ms() - i64::from(self.retention_h) * HOUR_MS;
        self.gone_before_ms = self.gone_before_ms.max(before);
    }

    fn check(
        &mut self,
        clock: &TestClock,
        stream: &Arc<Stream>,
    ) -> Result<Result<(), String>, BrokerError> {
        let found: Vec<_> = stream.shards().iter().map(|shard| shard.next.0).collect();
        while self.nexts() != found {
            if self.unsure.is_empty() {
                return Ok(Err(format!("next are {found:?}, and not {:?}", self.nexts())));
            }
            self.puts.push(self.unsure.remove(0));
        }
        self.unsure.clear();
        self.check_settings(stream);
        self.hide(clock);
        if stream.retention_h() != self.retention_h || stream.tags() != self.tags {
            return Ok(Err(format!("other settings: {:?}", stream.tags())));
        }
        let mut all = Vec::new();
        let mut nexts = vec![1; self.shards as usize];
        for put in &self.puts {
            for (shard, data) in &put.records {
                let number = &mut nexts[*shard as usize];
                if put.arrived_ms >= self.gone_before_ms {
                    all.push((*shard, *number, data.clone().into_bytes()));
                }
                *number += 1;
            }
        }
        let from_journal = drain(&mut stream.reader(&[])?)?;
        if from_journal != all {
            return Ok(Err(format!("the reader gives {from_journal:?} instead of {all:?}")));
        }
        for shard in 0..self.shards {
            let of = all.iter().filter(|(of, ..)| *of == shard);
            let of: Vec<_> = of.map(|(_, number, data)| (*number, data.clone().into())).collect();
            let read = shard_records(stream, shard)?;
            if read != of {
                return Ok(Err(format!("shard {shard} reads {read:?} instead of {of:?}")));
            }
            let horizon = stream.shards()[shard as usize].trim_horizon;
            let expected = of.first().map_or(nexts[shard as usize], |(number, _)| *number);
            if horizon != SequenceNumber(expected) {
                return Ok(Err(format!("shard {shard} begins at {horizon:?}, not {expected}")));
            }
        }
        for number in 0..3 {
            let (found, of) = (stream.published_through(&producer(number)), producer(number));
            if found != self.through(&of) {
                return Ok(Err(format!("producer {number} is at {found:?}")));
            }
        }
        Ok(Ok(()))
    }

    /// Takes the settings that were asked for, as far as they are there.
    fn check_settings(&mut self, stream: &Stream) {
        if let Some((retention_h, tags)) = self.unsure_settings.take() {
            if stream.retention_h() == retention_h {
                self.retention_h = retention_h;
            }
            if stream.tags() == tags {
                self.tags = tags;
            }
        }
    }
}
