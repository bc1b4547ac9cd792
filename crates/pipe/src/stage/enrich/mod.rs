//! Enriching: adds to an event what is known elsewhere, from a table in a file or by a call.
//!
//! A batch is enriched in two passes. In the first one [`Enricher::collect`] notes what an event
//! asks for; [`Enricher::fetch`] then gets all answers at once; in the second one
//! [`Enricher::apply`] puts them into the payloads. An answer that wasn't collected (an event that
//! asks by what another enrichment has added to it, say) is fetched alone: slow, never wrong.
//!
//! - Values are looked up by value: `1` and `1.0` are the same, `"A"` and `"\u0041"` too. In a CSV
//!   table everything is text, so that `1` is looked up as `"1"`.
//! - An answer goes into the payload as it came; everything else stays as it is.
//! - A service that is away is waited for, and the batch with it: the source feels it. One that
//!   says no for good has no answer. What is missing is passed or rejected, as configured.
//!
//! Start reading at [`Enricher`]; `table.rs` and `watched.rs` are tables, `call.rs` services,
//! `insert.rs` is the change to the payload.

mod cache;
mod call;
mod http;
mod insert;
mod key;
mod table;
mod watched;

use std::collections::HashSet;
use std::sync::Arc;

use event::Clock;
use event::path::FieldPath;
use event::source::Stop;

use self::cache::Answer;
use self::call::{Answers, Service, ServiceOptions, Value};
use self::http::HttpCaller;
use self::insert::NoPlace;
pub(in crate::stage) use self::insert::depth;
use self::key::{Asked, Form};
use self::table::Table;
use self::watched::Watched;
use super::transform::{Applied, Edits};
use crate::config::{EnrichConfig, EnrichFrom, EnrichMissing};

/// What all workers of a pipe share: tables, caches, connections.
#[derive(Debug)]
pub struct Enrichers {
    all: Vec<One>,
}

#[derive(Debug)]
struct One {
    from: From,
    into: FieldPath,
    missing: EnrichMissing,
}

#[derive(Debug)]
enum From {
    Table { table: Watched, key: FieldPath },
    Service(Service),
}

/// Why enrichment can't begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("enrich {position}: {message}")]
pub struct EnrichError {
    /// Its place in the list, from 1.
    pub position: usize,
    /// What is wrong.
    pub message: String,
}

/// An event that can't be enriched: it is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("enrich {position} into {into}: {message}")]
pub struct EnrichFault {
    /// Its place in the list, from 1.
    pub position: usize,
    /// Where the answer was to go.
    pub into: FieldPath,
    /// A stable snake_case name, used as the reason of the rejection: `enrich_missing`,
    /// `enrich_no_place`, `json_ambiguous_field`.
    pub name: &'static str,
    /// What is wrong.
    pub message: String,
}

/// The pipe was asked to stop while an answer was being waited for: the batch must be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("asked to stop while an enrichment was being waited for")]
pub struct Stopped;

/// Why [`Enricher::apply`] did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEnriched {
    /// The event is rejected.
    #[error(transparent)]
    Fault(#[from] EnrichFault),
    /// The batch must be given up.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Enrichers {
    /// Loads tables and makes the clients. Nothing is called yet.
    ///
    /// # Errors
    /// [`EnrichError`]: a table can't be read, a client can't be made.
    pub fn new(
        configs: &[EnrichConfig],
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<Enrichers>, EnrichError> {
        let all = configs.iter().enumerate().map(|(index, config)| {
            let from = From::new(&config.from, clock)
                .map_err(|message| EnrichError { position: index + 1, message })?;
            Ok(One { from, into: config.into.clone(), missing: config.missing })
        });
        Ok(Arc::new(Enrichers { all: all.collect::<Result<_, _>>()? }))
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether answers come from calls, so that the first pass over a batch is worth it. Without,
    /// `collect` needn't be called; `fetch` always must, once a batch.
    #[must_use]
    pub fn calls(&self) -> bool {
        self.all.iter().any(|one| matches!(one.from, From::Service(_)))
    }
}

impl From {
    fn new(config: &EnrichFrom, clock: &Arc<dyn Clock>) -> Result<From, String> {
        match config {
            EnrichFrom::Lookup { file, key, on, rows_max } => {
                let table = Watched::new(file.clone(), on.clone(), *rows_max)
                    .map_err(|error| format!("the table {}: {error}", file.display()))?;
                Ok(From::Table { table, key: key.clone() })
            }
            EnrichFrom::Http { http, key, cache_entries_max, cache_age_max } => {
                let caller =
                    HttpCaller::new(http, Arc::clone(clock)).map_err(|error| error.to_string())?;
                let options = ServiceOptions {
                    name: origin(&http.url),
                    key: key.clone(),
                    values_max: http.events_max,
                    bytes_max: http.bytes_max,
                    connections_max: http.connections_max,
                    cache_entries_max: *cache_entries_max,
                    cache_age_max: *cache_age_max,
                };
                Ok(From::Service(Service::new(options, Box::new(caller))))
            }
        }
    }
}

/// What of a URL may be shown: scheme, host and port. The rest may hold secrets.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// One worker.
#[derive(Debug)]
pub struct Enricher {
    shared: Arc<Enrichers>,
    stop: Stop,
    /// Of the batch, one for each enrichment.
    batch: Vec<OfBatch>,
    key: Vec<u8>,
    edits: Edits,
    scratch: [Vec<u8>; 2],
}

/// What one enrichment knows while a batch is done.
#[derive(Debug, Default)]
struct OfBatch {
    /// Collected, not yet fetched.
    wanted: Vec<Value>,
    /// The keys in `wanted`.
    keys: HashSet<Box<[u8]>>,
    answers: Answers,
    table: Option<Arc<Table>>,
}

impl Enricher {
    /// A worker with buffers of its own. `stop` ends the waiting for a service that is away.
    #[must_use]
    pub fn new(shared: Arc<Enrichers>, stop: Stop) -> Enricher {
        let batch = shared.all.iter().map(|_| OfBatch::default()).collect();
        let (key, edits, scratch) = (Vec::new(), Edits::default(), [Vec::new(), Vec::new()]);
        Enricher { shared, stop, batch, key, edits, scratch }
    }

    /// First pass: notes what an event of the batch asks for. `payload` is one that the scanner
    /// has accepted, decoded.
    pub fn collect(&mut self, payload: &[u8]) {
        for (one, batch) in self.shared.all.iter().zip(&mut self.batch) {
            let From::Service(service) = &one.from else { continue };
            self.key.clear();
            if key::ask(payload, service.key(), Form::Typed, &mut self.key) == Asked::Key {
                batch.want(&self.key, payload, service.key());
            }
        }
    }

    /// Between the passes, once a batch: forgets the batch before, looks whether tables have
    /// changed, and gets the answers that calls give. Waits as long as a service is away.
    ///
    /// # Errors
    /// [`Stopped`]; what was collected is forgotten.
    pub fn fetch(&mut self) -> Result<(), Stopped> {
        let mut result = Ok(());
        for (one, batch) in self.shared.all.iter().zip(&mut self.batch) {
            batch.answers.clear();
            batch.keys.clear();
            let wanted = std::mem::take(&mut batch.wanted);
            match &one.from {
                From::Table { table, .. } => batch.table = Some(table.current()),
                From::Service(service) if result.is_ok() => {
                    result = service.fetch(wanted, &mut batch.answers, &self.stop);
                }
                From::Service(_) => {}
            }
        }
        result
    }

    /// Second pass: appends the payload with the answers in it to `out`, if there are any.
    ///
    /// # Errors
    /// [`NotEnriched`]: the event is rejected, or the batch must be given up; `out` is as it was
    /// then.
    pub fn apply(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<Applied, NotEnriched> {
        let [mut from, mut to] = std::mem::take(&mut self.scratch);
        let shared = Arc::clone(&self.shared);
        let mut changed = false;
        let mut result = Ok(());
        for (index, one) in shared.all.iter().enumerate() {
            let input = if changed { from.as_slice() } else { payload };
            match self.apply_one(index, one, input) {
                Ok(true) => {
                    to.clear();
                    self.edits.write(input, &mut to);
                    std::mem::swap(&mut from, &mut to);
                    changed = true;
                }
                Ok(false) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        if changed && result.is_ok() {
            out.extend_from_slice(&from);
        }
        self.scratch = [from, to];
        result.map(|()| if changed { Applied::Appended } else { Applied::Same })
    }

    /// Notes the change that one enrichment makes; whether there is one.
    fn apply_one(&mut self, index: usize, one: &One, input: &[u8]) -> Result<bool, NotEnriched> {
        let fault = |name, message: String| EnrichFault {
            position: index + 1,
            into: one.into.clone(),
            name,
            message,
        };
        let Some(batch) = self.batch.get_mut(index) else { return Ok(false) };
        let (path, form) = match &one.from {
            From::Table { table, key } => {
                let table = batch.table.get_or_insert_with(|| table.current());
                (key, table.form())
            }
            From::Service(service) => (service.key(), Form::Typed),
        };
        self.key.clear();
        let asked = key::ask(input, path, form, &mut self.key);
        if asked == Asked::Ambiguous {
            let message = format!("{path}, or a field on the way to it, stands twice");
            return Err(fault("json_ambiguous_field", message).into());
        }
        if let (Asked::Key, From::Service(service)) = (asked, &one.from)
            && !batch.answers.contains_key(self.key.as_slice())
        {
            let value = OfBatch::value_of(&self.key, input, service.key());
            service.fetch(value.into_iter().collect(), &mut batch.answers, &self.stop)?;
        }
        let answer = match &one.from {
            _ if asked != Asked::Key => Err(None),
            From::Table { .. } => {
                batch.table.as_ref().and_then(|table| table.get(&self.key)).ok_or(None)
            }
            From::Service(_) => match batch.answers.get(self.key.as_slice()) {
                Some(Answer::Known(json)) => Ok(&**json),
                Some(Answer::Failed(why)) => Err(Some(Arc::clone(why))),
                Some(Answer::None) | None => Err(None),
            },
        };
        match answer {
            Ok(answer) => insert::insert(input, &one.into, answer, &mut self.edits)
                .map(|()| true)
                .map_err(|no_place| no_place.fault(&fault).into()),
            Err(_) if one.missing == EnrichMissing::Pass => Ok(false),
            Err(why) => {
                let what = match (asked, why) {
                    (Asked::Key, Some(why)) => why.to_string(),
                    (Asked::Key, None) => format!("nothing is known of the value of {path}"),
                    _ => format!("{path} is missing, or no text, number or bool"),
                };
                Err(fault("enrich_missing", what).into())
            }
        }
    }
}

impl NoPlace {
    fn fault(self, fault: &dyn Fn(&'static str, String) -> EnrichFault) -> EnrichFault {
        match self {
            NoPlace::Ambiguous => fault(
                "json_ambiguous_field",
                "the field, or one on the way to it, stands twice in its object".into(),
            ),
            NoPlace::InTheWay => fault(
                "enrich_no_place",
                "something on the way there is no object, or an array without that element".into(),
            ),
        }
    }
}

impl OfBatch {
    fn want(&mut self, key: &[u8], payload: &[u8], path: &FieldPath) {
        if self.keys.contains(key) {
            return;
        }
        if let Some(value) = OfBatch::value_of(key, payload, path) {
            self.keys.insert(key.into());
            self.wanted.push(value);
        }
    }

    /// The value at a path, as it is sent.
    fn value_of(key: &[u8], payload: &[u8], path: &FieldPath) -> Option<Value> {
        let value = path.get(payload).ok()??;
        Some((key.into(), value.bytes().into()))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tables are other people's files")]
mod tests;
