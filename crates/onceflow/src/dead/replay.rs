//! Letters that go through their pipe again: the job that `crate::replay` does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use connect::archive::playback::Polled;
use connect::dead::replay::{ReplayBatch, admit, batch_of};
use connect::dead::{After, Found, LetterName, Letters, show_id};
use event::Outcome;
use pipe::replay::ReplayOutcome;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filter::Filter;
use super::stores::{self, Store};
use crate::exit::Failure;
use crate::replay::{Job, Place, Report, new_id, sinks};

/// Letters of one batch at most.
const EVENTS_MAX: usize = 1_000;
/// Payload bytes of one batch, past which it is closed.
const BYTES_MAX: usize = 4 << 20;
/// Letters that are in the pipe at once.
const UNDER_WAY_MAX: usize = 10_000;
/// Letters that are marked or removed together.
const SETTLED_MAX: usize = 256;
/// Settled letters wait so long for others.
const SETTLE_EVERY: Duration = Duration::from_millis(200);
/// How long to wait while enough is under way; ms.
const BUSY_MS: i64 = 50;
/// A rate is kept to in steps of this length; ms.
const STEP_MS: i64 = 100;
/// Problems that are shown one by one.
const PROBLEMS_MAX: usize = 100;
/// Letters of the report at most.
const DETAILS_MAX: usize = 10_000;

/// What `dead replay` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asked {
    pub(crate) filter: Filter,
    pub(crate) to_sink: Option<String>,
    /// Events a second.
    pub(crate) rate: Option<u64>,
    /// Also letters that were edited.
    pub(crate) edited: bool,
}

/// Makes the job.
pub(crate) fn job(args: Value, place: &Place<'_>) -> Result<Box<dyn Job>, Failure> {
    let asked: Asked = serde_json::from_value(args).map_err(Failure::usage)?;
    let mut stores = stores::of_pipe(place.config, place.data_dir, &place.disk);
    stores.reverse();
    let now_ms = event::Clock::now_ms(place.clock.as_ref());
    Ok(Box::new(DeadJob {
        id: new_id("dead", now_ms),
        pipe: place.config.pipe.clone(),
        sinks: sinks(place.config, asked.to_sink.as_deref())?,
        asked,
        waiting: stores,
        now: None,
        done: Vec::new(),
        under_way: HashMap::new(),
        told: Told::default(),
        began_ms: now_ms,
        submitted: 0,
    }))
}

struct DeadJob {
    id: String,
    pipe: String,
    sinks: u64,
    asked: Asked,
    /// Stores that are still to be read, the next one last.
    waiting: Vec<Store>,
    now: Option<(usize, Letters)>,
    /// Stores that are being or were read, with letters that are settled and not marked.
    done: Vec<Settling>,
    /// Letters in the pipe: the number of their store, and their file.
    under_way: HashMap<u128, (usize, LetterName, u64)>,
    told: Told,
    began_ms: i64,
    submitted: u64,
}

/// A store, and what became of letters of it.
struct Settling {
    store: Store,
    settled: Vec<(LetterName, u64)>,
    since: Option<Instant>,
}

#[derive(Default)]
struct Told {
    problems: Vec<String>,
    problems_more: u64,
    skipped: u64,
    refused: u64,
    superseded: u64,
    details: Vec<Value>,
    details_more: u64,
}

impl Told {
    fn problem(&mut self, what: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what);
        } else {
            self.problems_more += 1;
        }
    }

    fn detail(&mut self, detail: Value) {
        if self.details.len() < DETAILS_MAX {
            self.details.push(detail);
        } else {
            self.details_more += 1;
        }
    }
}

impl DeadJob {
    /// The next letter that may go in; `None` at the end.
    fn next(&mut self) -> Option<(usize, Found)> {
        loop {
            let Some((number, letters)) = &mut self.now else {
                let store = self.waiting.pop()?;
                let mut filter = self.asked.filter.letters(std::slice::from_ref(&self.pipe));
                filter.consumers = vec![self.pipe.clone()];
                self.now = Some((self.done.len(), store.folder.letters(filter)));
                self.done.push(Settling { store, settled: Vec::new(), since: None });
                continue;
            };
            let number = *number;
            match letters.next() {
                None => self.now = None,
                Some(Err(skipped)) => {
                    self.told.skipped += 1;
                    self.told.problem(skipped.to_string());
                }
                Some(Ok(found)) => {
                    let replays_max =
                        self.done.get(number).map_or(0, |settling| settling.store.replays_max);
                    // Those that died again in this very replay are for the next one.
                    let is_new = found.letter.replay == self.id;
                    if found.name.done || is_new || self.under_way.contains_key(&found.letter.id) {
                        continue;
                    }
                    match admit(&found, replays_max, self.asked.edited) {
                        Ok(()) => return Some((number, found)),
                        Err(refused) => {
                            self.told.refused += 1;
                            self.told.problem(refused.to_string());
                        }
                    }
                }
            }
        }
    }

    /// How many events may go in now, and when the next ones may; ms.
    fn allowed(&self, now_ms: i64) -> Result<usize, i64> {
        let Some(rate) = self.asked.rate else { return Ok(EVENTS_MAX) };
        let passed_ms = u64::try_from(now_ms.saturating_sub(self.began_ms)).unwrap_or(0);
        // What a step of time allows is there at its beginning.
        let step_ms = STEP_MS as u64;
        let until_ms = (passed_ms / step_ms + 1) * step_ms;
        let due = (until_ms.saturating_mul(rate) / 1000).max(1);
        match usize::try_from(due.saturating_sub(self.submitted)) {
            Ok(0) => Err(now_ms + STEP_MS),
            Ok(allowed) => Ok(allowed.min(EVENTS_MAX)),
            Err(_) => Ok(EVENTS_MAX),
        }
    }

    /// Marks or removes what is settled, once there is enough of it or it has waited.
    fn settle(&mut self, all: bool) -> Result<(), String> {
        for Settling { store, settled, since } in &mut self.done {
            let waited = since.is_some_and(|since| since.elapsed() >= SETTLE_EVERY);
            if settled.is_empty() || !(all || waited || settled.len() >= SETTLED_MAX) {
                continue;
            }
            let names = settled.iter().map(|(name, bytes)| (name, *bytes));
            store.folder.settle(names, store.after_replay).map_err(|error| {
                let verb = match store.after_replay {
                    After::Mark => "mark",
                    After::Remove => "remove",
                };
                format!("cannot {verb} letters of {}: {error}", store.folder.root().display())
            })?;
            settled.clear();
            *since = None;
        }
        Ok(())
    }
}

impl Job for DeadJob {
    fn id(&self) -> &str {
        &self.id
    }

    fn poll(&mut self, now_ms: i64) -> Result<Polled, String> {
        self.settle(false)?;
        if self.under_way.len() >= UNDER_WAY_MAX {
            return Ok(Polled::Wait(now_ms + BUSY_MS));
        }
        let allowed = match self.allowed(now_ms) {
            Ok(allowed) => allowed,
            Err(then_ms) => return Ok(Polled::Wait(then_ms)),
        };
        let mut batch: Vec<Found> = Vec::new();
        let mut bytes = 0;
        while batch.len() < allowed {
            let Some((number, found)) = self.next() else { break };
            bytes += found.letter.body.len();
            let place = (number, found.name.clone(), found.bytes);
            self.under_way.insert(found.letter.id, place);
            batch.push(found);
            if bytes >= BYTES_MAX {
                break;
            }
        }
        if batch.is_empty() {
            return Ok(Polled::End);
        }
        self.submitted += batch.len() as u64;
        let request = ReplayBatch { id: &self.id, sinks: self.sinks, now_ms };
        Ok(Polled::Batch(batch_of(&batch, &request)))
    }

    fn settled(&mut self, answer: &ReplayOutcome) {
        let (_, id) = answer.offset.parts();
        let Some((number, name, bytes)) = self.under_way.remove(&id) else { return };
        let path = name.path();
        let reason = || {
            let reason = answer.reason.as_ref();
            reason.map_or_else(String::new, |(class, message)| format!(": {class}: {message}"))
        };
        match answer.outcome {
            Outcome::Dead => {
                self.told.problem(format!("{path} died again and is a new letter{}", reason()));
            }
            Outcome::Rejected => {
                self.told.problem(format!("{path} was rejected: its letter stays{}", reason()));
            }
            Outcome::Duplicate => self.told.superseded += 1,
            Outcome::Delivered | Outcome::Filtered | Outcome::Returned => {}
        }
        let (class, message) = answer.reason.clone().unzip();
        self.told.detail(json!({
            "letter": show_id(id),
            "path": path,
            "outcome": answer.outcome.name(),
            "class": class,
            "message": message,
        }));
        // A returned event has no outcome yet, and of a rejected one the ledger keeps the letter:
        // these stay open.
        if !matches!(answer.outcome, Outcome::Returned | Outcome::Rejected)
            && let Some(settling) = self.done.get_mut(number)
        {
            settling.since.get_or_insert_with(Instant::now);
            settling.settled.push((name, bytes));
        }
    }

    fn end(&mut self) -> Report {
        let settled = self.settle(true);
        let told = std::mem::take(&mut self.told);
        let mut problems = told.problems;
        if told.problems_more > 0 {
            problems.push(format!("and {} more like these", told.problems_more));
        }
        problems.extend(settled.err());
        Report {
            details: json!({
                "letters": told.details,
                "letters_not_shown": told.details_more,
                "superseded": told.superseded,
                "refused": told.refused,
                "skipped": told.skipped,
            }),
            problems,
        }
    }
}
