//! A replay out of an archive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use connect::archive::playback::{Accept, Playback, PlaybackOptions, Polled};
use connect::archive::read::{Archived, Damage};
use pipe::config::PipeConfig;
use pipe::replay::ReplayOutcome;
use pipe::stage::decode::{Decoded, Decoder};
use serde_json::{Value, json};

use super::options::pattern;
use super::{ReplayArgs, open};
use crate::exit::Failure;
use crate::replay::{Job, Place, Report, new_id, sinks};

/// A payload is decoded for a filter up to this length.
const DECODED_BYTES_MAX: usize = 64 << 20;
/// Reasons that are told apart.
const REASONS_MAX: usize = 20;

/// Makes the job.
pub(crate) fn job(args: Value, place: &Place<'_>) -> Result<Box<dyn Job>, Failure> {
    let args: ReplayArgs = serde_json::from_value(args)
        .map_err(|error| Failure::usage(format!("not a request of this version: {error}")))?;
    let archive = open(place.config, place.data_dir, Arc::clone(&place.disk), args.range())?;
    let id = new_id("archive", place.clock.now_ms());
    let looked_at = Arc::new(AtomicU64::new(0));
    let options = PlaybackOptions {
        sinks: sinks(place.config, args.to_sink.as_deref())?,
        speed: args.speed(),
        events_per_s_max: args.rate,
        dedup: args.dedup,
        ..PlaybackOptions::new(id)
    };
    let id = options.id.clone();
    let accept = accept(place.config, args.filter.as_deref(), &looked_at)?;
    let playback = Playback::new(archive.read(), accept, options);
    Ok(Box::new(ArchiveJob { id, playback, looked_at, reasons: BTreeMap::new() }))
}

struct ArchiveJob {
    id: String,
    playback: Playback,
    /// Events of the range, whether the filter takes them or not.
    looked_at: Arc<AtomicU64>,
    /// Why events died or were rejected again, and how many.
    reasons: BTreeMap<String, u64>,
}

impl Job for ArchiveJob {
    fn id(&self) -> &str {
        &self.id
    }

    fn poll(&mut self, now_ms: i64) -> Result<Polled, String> {
        Ok(self.playback.poll(now_ms))
    }

    fn settled(&mut self, outcome: &ReplayOutcome) {
        let Some((class, message)) = &outcome.reason else { return };
        let reason = format!("{class}: {message}");
        let known = self.reasons.len() < REASONS_MAX || self.reasons.contains_key(&reason);
        *self.reasons.entry(if known { reason } else { "others".to_owned() }).or_default() += 1;
    }

    fn end(&mut self) -> Report {
        let damages = self.playback.damages();
        let mut problems: Vec<String> = damages.iter().map(|damage| format!("{damage}")).collect();
        problems.extend(self.reasons.iter().map(|(reason, count)| {
            format!("{}: {reason}", console::show::counted(*count, "event"))
        }));
        let details = json!({
            "events_in_range": self.looked_at.load(Ordering::Relaxed),
            "events_taken": self.playback.given(),
            "damages": damages.iter().map(damage_json).collect::<Vec<_>>(),
        });
        Report { details, problems }
    }
}

/// What is damaged, for scripts.
pub(super) fn damage_json(damage: &Damage) -> Value {
    json!({
        "file": damage.file,
        "offset": damage.offset,
        "bytes": damage.bytes,
        "events": damage.events,
        "what": damage.what,
    })
}

/// Which events come again: those whose payload, decoded as the pipe does it, the filter matches.
fn accept(
    config: &PipeConfig,
    filter: Option<&str>,
    looked_at: &Arc<AtomicU64>,
) -> Result<Accept, Failure> {
    let looked_at = Arc::clone(looked_at);
    let Some(filter) = filter else {
        return Ok(Box::new(move |_| {
            looked_at.fetch_add(1, Ordering::Relaxed);
            true
        }));
    };
    let pattern = pattern(filter)?;
    let mut decoder = Decoder::new(&config.decode, DECODED_BYTES_MAX);
    let mut decoded = Vec::new();
    Ok(Box::new(move |event: &Archived| {
        looked_at.fetch_add(1, Ordering::Relaxed);
        decoded.clear();
        match decoder.decode(&event.payload, &mut decoded) {
            Ok(Decoded::Same) => pattern.matches(&event.payload),
            Ok(Decoded::Appended) => pattern.matches(&decoded),
            Err(_) => false,
        }
    }))
}

/// What a replay would take, without doing it.
pub(crate) struct Counted {
    /// Events of the range.
    pub(crate) in_range: u64,
    /// Those of them that the filter takes, …
    pub(crate) taken: u64,
    /// … with their payload bytes.
    pub(crate) bytes: u64,
    /// When the first and the last of them were received.
    pub(crate) received_ms: Option<(i64, i64)>,
    /// What can't be read.
    pub(crate) damages: Vec<Damage>,
}

/// Counts what `args` would take.
pub(crate) fn count(args: &ReplayArgs, place: &Place<'_>) -> Result<Counted, Failure> {
    sinks(place.config, args.to_sink.as_deref())?;
    let archive = open(place.config, place.data_dir, Arc::clone(&place.disk), args.range())?;
    let looked_at = Arc::new(AtomicU64::new(0));
    let mut accept = accept(place.config, args.filter.as_deref(), &looked_at)?;
    let mut reader = archive.read();
    let mut counted =
        Counted { in_range: 0, taken: 0, bytes: 0, received_ms: None, damages: Vec::new() };
    for event in reader.by_ref().filter(|event| accept(event)) {
        let at = event.origin.received_ms;
        let (first, last) = counted.received_ms.unwrap_or((at, at));
        counted.received_ms = Some((first.min(at), last.max(at)));
        counted.taken += 1;
        counted.bytes += event.payload.len() as u64;
    }
    counted.in_range = looked_at.load(Ordering::Relaxed);
    counted.damages = reader.damages().to_vec();
    Ok(counted)
}
