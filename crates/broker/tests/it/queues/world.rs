//! A user of the queues who writes down what was acknowledged, and what may be found after a crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::queues::{
    NewMessage, Queue, QueueAttributes, Queues, Receipt, ReceiptProblem, Receive, Redrive,
};
use broker::{BrokerError, Producer, Sequence};
use bytes::Bytes;
use event::{BatchNumber, LedgerId, TestClock};
use journal::SimDisk;

use super::kit::{self, Rng, START_MS};

/// Where a message may be.
pub(super) const Q: u8 = 1;
pub(super) const DLQ: u8 = 2;
pub(super) const OTHER: u8 = 4;
pub(super) const GONE: u8 = 8;
const QUEUES: [(u8, &str); 3] = [(Q, "q"), (DLQ, "dlq"), (OTHER, "other")];
const RECEIVE_COUNT_MAX: u32 = 2;

fn name(place: u8) -> &'static str {
    QUEUES.iter().find(|(one, _)| *one == place).unwrap().1
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Send { to: u8, sizes: Vec<usize>, delay_s: Option<u32> },
    SendOnce { again: bool },
    Receive { from: u8, messages_max: usize, remembered: bool },
    Delete { of: u64 },
    DeleteStale { of: u64 },
    Hide { of: u64, ms: i64 },
    Advance { ms: i64 },
    Purge { queue: u8 },
    SetAttributes,
    Tidy,
    Reopen { clean: bool },
}

#[derive(Clone, Debug)]
struct Seen {
    receipt: Receipt,
    /// In the queue of that name.
    from: u8,
    /// Whether it is noted at all.
    remembered: bool,
    /// A note of it is durable.
    durable: bool,
    session: u32,
    /// Hidden until then, as far as the user knows.
    until_ms: i64,
}

#[derive(Clone, Debug)]
struct Known {
    places: u8,
    bytes: usize,
    sent_ms: i64,
    seen: Vec<Seen>,
}

/// What the user knows.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    messages: BTreeMap<u64, Known>,
    next: u64,
    /// Labels by batch of the producer, and whether each was acknowledged.
    batches: Vec<(Vec<u64>, bool)>,
    session: u32,
    pub(super) now_ms: i64,
}

/// Why a run ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Crash,
    Violation(String),
}

type Outcome<T> = Result<T, Stop>;

fn body(label: u64, bytes: usize) -> Bytes {
    let mut body = format!("{label}:").into_bytes();
    let mut rng = Rng(label);
    while body.len() < bytes {
        body.extend(rng.next().to_le_bytes());
    }
    Bytes::from(body)
}

fn label(body: &[u8]) -> u64 {
    let end = body.iter().position(|byte| *byte == b':').unwrap();
    std::str::from_utf8(&body[..end]).unwrap().parse().unwrap()
}

fn producer() -> Producer {
    Producer { ledger_id: LedgerId(7), pipe: "p".into(), sink: "s".into() }
}

/// A run: the user, and the queues that are open.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) disk: SimDisk,
    clock: TestClock,
    queues: Option<Queues>,
}

impl Run {
    fn fail<T>(&self, what: &str, error: &BrokerError) -> Outcome<T> {
        if self.disk.has_crashed() {
            return Err(Stop::Crash);
        }
        Err(Stop::Violation(format!("{what}: {error}")))
    }

    fn ok<T>(&self, what: &str, outcome: Result<T, BrokerError>) -> Outcome<T> {
        outcome.or_else(|error| self.fail(what, &error))
    }

    fn violation<T>(what: String) -> Outcome<T> {
        Err(Stop::Violation(what))
    }

    /// Opens, and checks what is there.
    pub(super) fn open(world: World, disk: &SimDisk) -> Outcome<Self> {
        let now_ms = world.now_ms.max(START_MS);
        let clock = TestClock::new(now_ms);
        let mut run = Self { world, disk: disk.clone(), clock, queues: None };
        run.world.now_ms = now_ms;
        run.reopen()?;
        Ok(run)
    }

    fn reopen(&mut self) -> Outcome<()> {
        self.queues = None;
        self.world.session += 1;
        let opened = kit::try_open(&self.disk, &self.clock, kit::small());
        self.queues = Some(self.ok("open", opened)?);
        self.make()?;
        self.look()
    }

    fn make(&self) -> Outcome<()> {
        let queues = self.queues();
        let plain = |name| queues.create(name, QueueAttributes::default(), BTreeMap::new()).wait();
        self.ok("make dlq", plain("dlq"))?;
        let other = QueueAttributes { retention_s: 60, ..QueueAttributes::default() };
        match queues.create("other", other, BTreeMap::new()).wait() {
            Ok(_) => {}
            // Its attributes were changed since.
            Err(BrokerError::Exists { .. }) => {}
            Err(error) => return self.fail("make other", &error),
        }
        let redrive =
            Redrive { dead_letter_queue: "dlq".into(), receive_count_max: RECEIVE_COUNT_MAX };
        let with_redrive = QueueAttributes { redrive: Some(redrive), ..QueueAttributes::default() };
        self.ok("make q", queues.create("q", with_redrive, BTreeMap::new()).wait()).map(drop)
    }

    fn queues(&self) -> &Queues {
        self.queues.as_ref().unwrap()
    }

    fn queue(&self, place: u8) -> Outcome<Arc<Queue>> {
        self.ok("get", self.queues().get(name(place)))
    }

    pub(super) fn step(&mut self, step: &Step) -> Outcome<()> {
        match step {
            Step::Send { to, sizes, delay_s } => self.send(*to, sizes, *delay_s),
            Step::SendOnce { again } => self.send_once(*again),
            Step::Receive { from, messages_max, remembered } => {
                self.receive(*from, *messages_max, *remembered)
            }
            Step::Delete { of } => self.delete(*of),
            Step::DeleteStale { of } => self.delete_stale(*of),
            Step::Hide { of, ms } => self.hide(*of, *ms),
            Step::Advance { ms } => {
                self.clock.advance(*ms);
                self.world.now_ms += ms;
                Ok(())
            }
            Step::Purge { queue } => self.purge(*queue),
            Step::SetAttributes => {
                let attributes = QueueAttributes {
                    retention_s: 60,
                    visibility_timeout_s: 10,
                    ..QueueAttributes::default()
                };
                let set = self.queue(OTHER)?.set_attributes(attributes).wait();
                self.ok("set attributes", set)
            }
            Step::Tidy => self.tidy(),
            Step::Reopen { clean } => {
                if *clean {
                    let closed = self.queues().close();
                    self.ok("close", closed)?;
                    self.receives_are_durable();
                }
                self.reopen()
            }
        }
    }

    fn note(&mut self, place: u8, bytes: usize) -> u64 {
        let label = self.world.next;
        self.world.next += 1;
        let sent_ms = self.world.now_ms;
        let known = Known { places: place | GONE, bytes, sent_ms, seen: Vec::new() };
        self.world.messages.insert(label, known);
        label
    }

    fn known(&mut self, label: u64) -> &mut Known {
        self.world.messages.get_mut(&label).unwrap()
    }

    fn send(&mut self, to: u8, sizes: &[usize], delay_s: Option<u32>) -> Outcome<()> {
        let labels: Vec<_> = sizes.iter().map(|bytes| self.note(to, *bytes)).collect();
        let message = |(label, bytes): (&u64, &usize)| NewMessage {
            body: body(*label, *bytes),
            delay_s,
            ..NewMessage::default()
        };
        let messages = labels.iter().zip(sizes).map(message).collect();
        let sent = self.queue(to)?.send(messages).wait();
        self.ok("send", sent)?;
        labels.iter().for_each(|label| self.known(*label).places = to);
        Ok(())
    }

    fn send_once(&mut self, again: bool) -> Outcome<()> {
        let unanswered = self.world.batches.last().is_some_and(|(_, answered)| !answered);
        if !(again || unanswered) || self.world.batches.is_empty() {
            let labels = vec![self.note(OTHER, 60), self.note(OTHER, 90)];
            self.world.batches.push((labels, false));
        }
        let number = self.world.batches.len();
        let (labels, answered) = self.world.batches[number - 1].clone();
        let messages = labels.iter().zip(0..).map(|(label, index)| {
            let sequence = Sequence { batch: BatchNumber(number as u64), index };
            let bytes = self.world.messages[label].bytes;
            (sequence, NewMessage { body: body(*label, bytes), ..NewMessage::default() })
        });
        let messages = messages.collect();
        let before = self.queue(OTHER)?.published_through(&producer());
        let now_ms = self.world.now_ms;
        let stored = before.is_some_and(|before| before.batch.0 >= number as u64);
        if answered && !stored {
            return Self::violation(format!("batch {number} of the producer is forgotten"));
        }
        if !stored {
            // What a crash took is sent now.
            labels.iter().for_each(|label| {
                *self.known(*label) =
                    Known { sent_ms: now_ms, places: OTHER | GONE, ..self.known(*label).clone() };
            });
        }
        let sent = self.queue(OTHER)?.send_once(&producer(), messages).wait();
        self.ok("send once", sent)?;
        if !stored {
            labels.iter().for_each(|label| self.known(*label).places = OTHER);
        }
        self.world.batches[number - 1].1 = true;
        Ok(())
    }

    fn expires(known: &Known, now_ms: i64) -> bool {
        known.places & OTHER != 0 && known.sent_ms + 60_000 <= now_ms
    }

    fn receive(&mut self, from: u8, messages_max: usize, remembered: bool) -> Outcome<()> {
        let (now_ms, session) = (self.world.now_ms, self.world.session);
        let mut moves = false;
        for known in self.world.messages.values_mut() {
            if from == Q && known.places & Q != 0 && known.seen.len() >= RECEIVE_COUNT_MAX as usize
            {
                known.places |= DLQ;
                moves = true;
            }
            if from == OTHER && Self::expires(known, now_ms) {
                known.places |= GONE;
            }
        }
        let receive =
            Receive { messages_max, bytes_max: 2000, visibility_ms: Some(20_000), remembered };
        let messages = self.queue(from)?.receive(receive);
        for message in self.ok("receive", messages)? {
            let label = label(&message.body);
            let known = self.known(label).clone();
            if known.places & from == 0 {
                return Self::violation(format!("{label} was received from {}", name(from)));
            }
            if message.body != body(label, known.bytes) || message.sent_ms != known.sent_ms {
                return Self::violation(format!("{label} is not what was sent"));
            }
            if from == OTHER && Self::expires(&known, now_ms) {
                return Self::violation(format!("{label} was received after its retention"));
            }
            let hidden = |seen: &Seen| {
                let kept = seen.durable || seen.session == session;
                kept && seen.from == from && seen.until_ms > now_ms
            };
            if known.seen.last().is_some_and(hidden) {
                return Self::violation(format!("{label} was received while it was hidden"));
            }
            let (receipt, until_ms) = (message.receipt, now_ms + 20_000);
            let seen = Seen { receipt, from, remembered, durable: false, session, until_ms };
            let known = self.known(label);
            known.places = from;
            known.seen.push(seen);
        }
        if moves {
            // The move is submitted; what comes later is durable after it.
            let barrier = self.queue(Q)?.set_tags(BTreeMap::new()).wait();
            self.ok("set tags", barrier)?;
            self.look()?;
        }
        Ok(())
    }

    /// A message that was received, and is there for sure.
    fn pick(&self, of: u64) -> Option<u64> {
        let there = |known: &Known| known.places & GONE == 0 && !known.seen.is_empty();
        let labels: Vec<_> =
            self.world.messages.iter().filter(|(_, known)| there(known)).map(|(l, _)| *l).collect();
        labels.get((of % labels.len().max(1) as u64) as usize).copied()
    }

    fn delete(&mut self, of: u64) -> Outcome<()> {
        let Some(label) = self.pick(of) else { return Ok(()) };
        let last = self.known(label).seen.last().unwrap().clone();
        let places = self.known(label).places;
        let now_ms = self.world.now_ms;
        if places != last.from || Self::expires(self.known(label), now_ms) {
            return Ok(());
        }
        self.known(label).places |= GONE;
        let answers = self.queue(last.from)?.delete(&[last.receipt]).wait();
        let answers = self.ok("delete", answers)?;
        if answers != [Ok(())] {
            return Self::violation(format!("{label} can't be deleted: {answers:?}"));
        }
        self.known(label).places = GONE;
        Ok(())
    }

    /// A receipt that was overtaken does nothing.
    fn delete_stale(&mut self, of: u64) -> Outcome<()> {
        let Some(label) = self.pick(of) else { return Ok(()) };
        let known = self.known(label).clone();
        let [.., old, new] = known.seen.as_slice() else { return Ok(()) };
        if old.from != new.from || !(new.durable || new.session == self.world.session) {
            return Ok(());
        }
        let queue = self.queue(old.from)?;
        let stale = [Err(ReceiptProblem::Stale)];
        let gone = [Err(ReceiptProblem::Gone)];
        let answers = self.ok("delete", queue.delete(&[old.receipt]).wait())?;
        let hidden = self.ok("hide", queue.change_visibility(&[(old.receipt, 1000)]))?;
        let moved = known.places != new.from;
        let expired = Self::expires(&known, self.world.now_ms);
        if (answers == stale && hidden == stale) || ((moved || expired) && answers == gone) {
            return Ok(());
        }
        Self::violation(format!("a stale receipt of {label} did: {answers:?} {hidden:?}"))
    }

    fn hide(&mut self, of: u64, ms: i64) -> Outcome<()> {
        let Some(label) = self.pick(of) else { return Ok(()) };
        let (session, now_ms) = (self.world.session, self.world.now_ms);
        let last = self.known(label).seen.last().unwrap().clone();
        let hidden = last.until_ms > now_ms && self.known(label).places == last.from;
        let hidden = hidden && last.session == session;
        if !hidden || Self::expires(self.known(label), now_ms) {
            return Ok(());
        }
        let answers = self.queue(last.from)?.change_visibility(&[(last.receipt, ms)]);
        let answers = self.ok("hide", answers)?;
        if answers != [Ok(())] {
            return Self::violation(format!("{label} can't be hidden: {answers:?}"));
        }
        let seen = self.known(label).seen.last_mut().unwrap();
        (seen.until_ms, seen.durable) = (now_ms + ms, false);
        Ok(())
    }

    fn purge(&mut self, place: u8) -> Outcome<()> {
        let queue = self.queue(place)?;
        let inside = |known: &&mut Known| known.places & place != 0;
        self.world.messages.values_mut().filter(inside).for_each(|known| known.places |= GONE);
        match queue.purge().wait() {
            Ok(()) => {
                let inside = |known: &&mut Known| known.places & place != 0;
                let messages = self.world.messages.values_mut();
                messages.filter(inside).for_each(|known| known.places = GONE);
                Ok(())
            }
            Err(BrokerError::PurgeInProgress { .. }) => self.look(),
            Err(error) => self.fail("purge", &error),
        }
    }

    fn tidy(&mut self) -> Outcome<()> {
        let now_ms = self.world.now_ms;
        let expired = |known: &&mut Known| Self::expires(known, now_ms);
        self.world.messages.values_mut().filter(expired).for_each(|known| known.places |= GONE);
        let tidied = self.queues().tidy();
        self.ok("tidy", tidied)?;
        let expired = |known: &&mut Known| Self::expires(known, now_ms);
        self.world.messages.values_mut().filter(expired).for_each(|known| known.places = GONE);
        self.receives_are_durable();
        Ok(())
    }

    fn receives_are_durable(&mut self) {
        for seen in self.world.messages.values_mut().filter_map(|known| known.seen.last_mut()) {
            // Of an earlier session, a receive that wasn't noted then never is.
            seen.durable |= seen.remembered && seen.session == self.world.session;
        }
    }

    /// Looks at everything that is there, on a copy of the disk, and takes it for the truth from
    /// now on.
    fn look(&mut self) -> Outcome<()> {
        let found = found(&self.disk, self.world.now_ms).map_err(|what| {
            if self.disk.has_crashed() { Stop::Crash } else { Stop::Violation(what) }
        })?;
        for (label, places) in &found {
            let Some(known) = self.world.messages.get_mut(label) else {
                return Self::violation(format!("{label} was never sent"));
            };
            if places.len() > 1 || known.places & places[0] == 0 {
                return Self::violation(format!("{label} is in {places:?}, not in {known:?}"));
            }
            known.places = places[0];
        }
        for (label, known) in &mut self.world.messages {
            if found.contains_key(label) {
                continue;
            }
            let expired = Self::expires(known, self.world.now_ms);
            if known.places & GONE == 0 && !expired {
                return Self::violation(format!("{label} is lost: {known:?}"));
            }
            known.places = GONE;
        }
        Ok(())
    }
}

/// The places of all messages, as a reader of the disk's copy finds them.
fn found(disk: &SimDisk, now_ms: i64) -> Result<BTreeMap<u64, Vec<u8>>, String> {
    let copy = disk.after_process_kill();
    let clock = TestClock::new(now_ms);
    let queues = kit::try_open(&copy, &clock, kit::small()).map_err(|error| error.to_string())?;
    let mut found: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut moved = BTreeMap::new();
    for (place, name) in QUEUES {
        let Ok(queue) = queues.get(name) else { continue };
        let counts = queue.statistics();
        moved.insert(name, counts.moved);
        // Every message that came is there, or counted as gone.
        let came = if place == DLQ { moved.get("q").copied().unwrap_or(0) } else { counts.sent };
        let there = counts.visible + counts.in_flight + counts.delayed;
        let went = counts.deleted + counts.expired + counts.purged + counts.moved;
        if came != there + went {
            return Err(format!("{name}: {came} came, {there} are there: {counts:?}"));
        }
        let unlimited = QueueAttributes { retention_s: 1_209_600, ..QueueAttributes::default() };
        queue.set_attributes(unlimited).wait().map_err(|error| error.to_string())?;
    }
    clock.advance(900_000);
    for (place, name) in QUEUES {
        let Ok(queue) = queues.get(name) else { continue };
        loop {
            let messages = kit::receive_with(&queue, 10, false);
            if messages.is_empty() {
                break;
            }
            for message in messages {
                found.entry(label(&message.body)).or_default().push(place);
                let source = (place == DLQ).then(|| "q".to_string());
                if message.dead_letter_source != source {
                    return Err(format!("a message of {name} has another source"));
                }
            }
        }
    }
    Ok(found)
}
