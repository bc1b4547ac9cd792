//! What somebody must be told of: raised once, over once.

mod delivery;

use std::collections::BTreeMap;
use std::time::Duration;

use dedup::state::Imbalance;
use serde::Serialize;

use crate::now::{Now, PipeNow};
use crate::show;

/// Less room than this share of the disk is an alarm …
const DISK_FREE_PERCENT_MIN: u64 = 5;
/// … unless there is as much as this; bytes.
const DISK_FREE_ENOUGH_BYTES: u64 = 20 << 30;

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// Received and accounted events differ (P4).
    Imbalance,
    /// A pipe can't go on.
    PipeFailed,
    /// A pipe waits: for room, or for a sink.
    PipePaused,
    /// A sink counts as down.
    CircuitOpen,
    /// Events could not be delivered.
    DeadLetters,
    /// Dead letters are near their limit.
    DeadLettersFull,
    /// Parked events are near their limit.
    Parked,
    /// Many events broke a rule.
    Rejected,
    /// A pipe is far behind its source.
    Lag,
    /// Unread events passed half of their retention, or all of it (P1).
    Retention,
    /// Room on the disk.
    Storage,
    /// A source's calls fail.
    Source,
}

impl AlarmKind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imbalance => "imbalance",
            Self::PipeFailed => "pipe_failed",
            Self::PipePaused => "pipe_paused",
            Self::CircuitOpen => "circuit_open",
            Self::DeadLetters => "dead_letters",
            Self::DeadLettersFull => "dead_letters_full",
            Self::Parked => "parked",
            Self::Rejected => "rejected",
            Self::Lag => "lag",
            Self::Retention => "retention",
            Self::Storage => "storage",
            Self::Source => "source",
        }
    }
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// Of what: a pipe, `queue iot-queue`, `disk`.
    pub of: String,
    /// For a person: what is wrong and what to do.
    pub what: String,
    /// Since when; ms since the Unix epoch.
    pub since_ms: i64,
    /// The batch that it began with, where there is one: that of an imbalance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
}

/// What is an alarm now, by kind and what it is of.
type Found = BTreeMap<(AlarmKind, String), String>;

/// From when on something is an alarm, for one pipe.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// How far behind its source it may be.
    pub lag_max: Duration,
    /// Rejected events of an hour.
    pub rejected_max: u64,
    /// Dead letters, past which it stops.
    pub dead_letters_max: u64,
    /// Bytes of parked events, past which its source pauses.
    pub parked_bytes_max: u64,
}

/// A change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An alarm is new.
    Raised(Alarm),
    /// It is over.
    Over(Alarm),
}

/// The alarms that stand.
#[derive(Debug, Default)]
pub struct Alarms {
    thresholds: BTreeMap<String, Thresholds>,
    standing: BTreeMap<(AlarmKind, String), Alarm>,
    errors_seen: BTreeMap<String, u64>,
}

impl Alarms {
    /// Thresholds by the pipes' names.
    #[must_use]
    pub fn new(thresholds: BTreeMap<String, Thresholds>) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// Looks at how things stand; what changed since the last look.
    pub fn look(&mut self, now: &Now) -> Vec<Change> {
        let mut found = Found::new();
        look_at_balance(now, &mut found);
        for pipe in &now.pipes {
            self.look_at_pipe(pipe, &mut found);
        }
        look_at_broker(now, &mut found);
        look_at_disk(now, &mut found);
        delivery::look_at_stores(now, &mut found);
        self.change(found, now)
    }

    /// The alarms that stand.
    pub fn standing(&self) -> impl Iterator<Item = &Alarm> {
        self.standing.values()
    }

    fn look_at_pipe(&mut self, pipe: &PipeNow, found: &mut Found) {
        delivery::look(pipe, self.thresholds.get(&pipe.name), found);
        let mut raise = |kind: AlarmKind, what: String| {
            found.insert((kind, pipe.name.clone()), what);
        };
        if let Some(failure) = &pipe.failure {
            raise(AlarmKind::PipeFailed, format!("the pipe stopped: {failure}"));
        }
        let Some(thresholds) = self.thresholds.get(&pipe.name) else { return };
        if pipe.rejected_last_hour > thresholds.rejected_max {
            let what = format!(
                "{} rejected in the last hour, more than alarms.rejected_max = {}; they are whole in \
                 the rejected file",
                show::counted(pipe.rejected_last_hour, "event"),
                thresholds.rejected_max,
            );
            raise(AlarmKind::Rejected, what);
        }
        if pipe.expired > 0 {
            let what = format!(
                "{} passed the source's retention before they were read, and are lost",
                show::counted(pipe.expired, "event"),
            );
            raise(AlarmKind::Retention, what);
        }
        let Some(source) = &pipe.source else { return };
        let lag_max_ms = u64::try_from(thresholds.lag_max.as_millis()).unwrap_or(u64::MAX);
        if source.behind_ms > lag_max_ms {
            let what = format!(
                "the oldest unsettled event is {} old, more than alarms.lag_max = {}; {} are waiting",
                show::seconds(Duration::from_millis(source.behind_ms)),
                show::seconds(thresholds.lag_max),
                show::counted(source.behind_events, "event"),
            );
            raise(AlarmKind::Lag, what);
        }
        if pipe.expired == 0
            && source.retention_ms > 0
            && source.behind_ms >= source.retention_ms / 2
        {
            let what = format!(
                "the oldest unsettled event is {} old, and the source keeps events for {}: speed \
                 the pipe up or lengthen the retention",
                show::seconds(Duration::from_millis(source.behind_ms)),
                show::seconds(Duration::from_millis(source.retention_ms)),
            );
            raise(AlarmKind::Retention, what);
        }
        let seen = self.errors_seen.insert(pipe.name.clone(), source.errors).unwrap_or(0);
        if source.errors > seen {
            let last = source.last_error.as_deref().unwrap_or("no text");
            raise(AlarmKind::Source, format!("calls to the source fail: {last}"));
        }
    }

    fn change(&mut self, found: Found, now: &Now) -> Vec<Change> {
        let mut changes = Vec::new();
        let over: Vec<_> =
            self.standing.keys().filter(|key| !found.contains_key(*key)).cloned().collect();
        for key in over {
            changes.extend(self.standing.remove(&key).map(Change::Over));
        }
        for (key, what) in found {
            if let Some(standing) = self.standing.get_mut(&key) {
                standing.what = what;
                continue;
            }
            let batch = match key.0 {
                AlarmKind::Imbalance => first_imbalance(now, &key.1).and_then(batch_of),
                _ => None,
            };
            let alarm = Alarm { kind: key.0, of: key.1.clone(), what, since_ms: now.at_ms, batch };
            changes.push(Change::Raised(alarm.clone()));
            self.standing.insert(key, alarm);
        }
        changes
    }
}

/// The imbalance of a pipe that began first, as far as that is known.
fn first_imbalance<'n>(now: &'n Now, pipe: &str) -> Option<&'n Imbalance> {
    let of_pipe = now.imbalances.iter().filter(|imbalance| imbalance.pipe == pipe);
    of_pipe.min_by_key(|imbalance| (batch_of(imbalance).unwrap_or(u64::MAX), imbalance.start_ms))
}

/// The first batch whose record broke the balance, where that is known.
pub(crate) fn batch_of(imbalance: &Imbalance) -> Option<u64> {
    (imbalance.batch.0 > 0).then_some(imbalance.batch.0)
}

fn look_at_balance(now: &Now, found: &mut Found) {
    for Imbalance { pipe, .. } in &now.imbalances {
        let key = (AlarmKind::Imbalance, pipe.clone());
        let Some(first) = first_imbalance(now, pipe) else { continue };
        if found.contains_key(&key) {
            continue;
        }
        let since = batch_of(first).map_or(String::new(), |batch| format!("since batch {batch}, "));
        let mut what = format!(
            "{since}source {}: {} events received in the {} from {}, {} accounted for",
            first.source,
            show::count(first.received),
            show::counted(u64::from(first.minutes), "minute"),
            show::time(first.start_ms),
            show::count(first.accounted),
        );
        let more = now.imbalances.iter().filter(|other| other.pipe == *pipe).count() - 1;
        if more > 0 {
            what.push_str(&format!("; {} more", show::count(more as u64)));
        }
        what.push_str("; please report it");
        found.insert(key, what);
    }
}

fn look_at_broker(now: &Now, found: &mut Found) {
    for queue in &now.queues {
        let Some(sent_ms) = queue.statistics.oldest_sent_ms else { continue };
        let age_ms = now.at_ms.saturating_sub(sent_ms);
        if age_ms >= queue.retention_ms / 2 {
            let what = format!(
                "its oldest message is {} old and is removed at {}; {} removed so far",
                age(age_ms),
                age(queue.retention_ms),
                show::count(queue.statistics.expired),
            );
            found.insert((AlarmKind::Retention, format!("queue {}", queue.name)), what);
        }
    }
}

fn look_at_disk(now: &Now, found: &mut Found) {
    for written in now.written.iter().filter(|written| written.bytes > written.bytes_max) {
        let what = format!(
            "it wrote {}, more than its limits.storage_bytes_max of {}",
            show::bytes(written.bytes),
            show::bytes(written.bytes_max),
        );
        found.insert((AlarmKind::Storage, written.pipe.clone()), what);
    }
    let Some((free, whole)) = now.disk else { return };
    if free < DISK_FREE_ENOUGH_BYTES && free < whole / 100 * DISK_FREE_PERCENT_MIN {
        let what = format!(
            "{} free of {} on the data folder's disk: make room before pipes pause",
            show::bytes(free),
            show::bytes(whole),
        );
        found.insert((AlarmKind::Storage, "disk".to_owned()), what);
    }
}

fn age(ms: i64) -> String {
    show::seconds(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}
