//! From a payload to what the simulation needs of it: its time and its key, made as a pipe makes it.

use dedup::key::KeyMaker;
use event::batch::NO_TIME;
use event::json::{Found, Selection};
use event::path::FieldPath;
use pipe::config::{ClockChoice, DecodeStep, PipeConfig, TimeFormat};
use pipe::stage::decode::{Decoded, Decoder};
use pipe::stage::filter::Pattern;

use super::sorted::Row;
use crate::exit::Failure;

/// Longest payload once it is decoded; bytes.
const DECODED_BYTES_MAX: usize = 64 << 20;

/// Where key, type and time of an event stand.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) key: Vec<FieldPath>,
    pub(crate) event_type: Option<FieldPath>,
    pub(crate) time: Option<(FieldPath, TimeFormat)>,
    pub(crate) across_types: bool,
    /// Whether the broker's time goes before that of receipt.
    pub(crate) broker_time: bool,
    pub(crate) decode: Vec<DecodeStep>,
    pub(crate) pattern: Option<Pattern>,
}

impl Fields {
    /// As a pipe's config says.
    pub(crate) fn of(config: &PipeConfig) -> Result<Fields, Failure> {
        let Some(dedup) = &config.dedup else {
            return Err(Failure::usage(format!(
                "pipe {} has no `dedup`: it lets every event through; name a key with --key instead",
                config.pipe
            )));
        };
        let key = dedup.key.paths();
        if key.len() != dedup.key.parts().len() || key.is_empty() {
            return Err(Failure::usage(format!(
                "the key of pipe {} isn't made of fields of the payload alone, and no other is \
                 simulated: name fields with --key instead",
                config.pipe
            )));
        }
        let pattern = config.filter.as_ref().map(|filter| {
            Pattern::compile_kind(filter, config.filter_kind)
                .map_err(|error| Failure::usage(format!("filter: {error}")))
        });
        let time = config.envelope.time.as_ref().map(|time| (time.path.clone(), time.format));
        Ok(Fields {
            key,
            event_type: config.envelope.event_type.clone(),
            // A file has no other time than that in the event; an archive says what the clock said.
            time: time.filter(|_| dedup.clock == ClockChoice::Event || is_file(config)),
            across_types: dedup.across_types,
            broker_time: dedup.clock == ClockChoice::Broker,
            decode: config.decode.clone(),
            pattern: pattern.transpose()?,
        })
    }
}

fn is_file(config: &PipeConfig) -> bool {
    matches!(config.source, pipe::config::SourceConfig::File(_))
}

/// Times that stand beside a payload; [`NO_TIME`] for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    pub(crate) received_ms: i64,
    pub(crate) broker_ms: i64,
    pub(crate) recorded_ms: i64,
}

impl Beside {
    pub(crate) const NOTHING: Beside =
        Beside { received_ms: NO_TIME, broker_ms: NO_TIME, recorded_ms: NO_TIME };
}

/// What couldn't be used, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unused {
    /// Not to be decoded, or no JSON.
    pub(crate) unreadable: u64,
    /// Not wanted by the pipe's filter.
    pub(crate) filtered: u64,
    /// Without a key.
    pub(crate) without_key: u64,
    /// Without a time.
    pub(crate) without_time: u64,
}

/// Makes rows.
pub(crate) struct Maker {
    fields: Fields,
    selection: Selection,
    keys: KeyMaker,
    decoder: Decoder,
    found: Found,
    decoded: Vec<u8>,
    scratch: Vec<u8>,
    pub(crate) unused: Unused,
    /// Whether type and values of the last event are kept, for who shows them.
    keep: bool,
    last_type: String,
    last_values: Vec<String>,
}

impl Maker {
    pub(crate) fn new(fields: Fields) -> Maker {
        // Any secret does: keys are only compared with each other.
        let keys = KeyMaker::new(b"dedup simulate!!", fields.across_types, fields.key.len());
        Maker::with_keys(fields, keys)
    }

    /// Makes the keys that `keys` makes.
    pub(crate) fn with_keys(fields: Fields, keys: KeyMaker) -> Maker {
        let mut paths = fields.key.clone();
        paths.extend(fields.event_type.clone());
        paths.extend(fields.time.as_ref().map(|(path, _)| path.clone()));
        Maker {
            selection: Selection::new(&paths),
            keys,
            decoder: Decoder::new(&fields.decode, DECODED_BYTES_MAX),
            found: Found::default(),
            decoded: Vec::new(),
            scratch: Vec::new(),
            unused: Unused::default(),
            keep: false,
            last_type: String::new(),
            last_values: Vec::new(),
            fields,
        }
    }

    /// Keeps type and key fields of the last event, see [`Maker::last`].
    pub(crate) fn keeping(mut self) -> Maker {
        self.keep = true;
        self
    }

    /// Type and key fields, as JSON, of the last event.
    pub(crate) fn last(&self) -> (&str, &[String]) {
        (&self.last_type, &self.last_values)
    }

    /// The row of an event; `None` is counted.
    pub(crate) fn row(&mut self, payload: &[u8], beside: Beside) -> Option<Row> {
        self.decoded.clear();
        let payload = match self.decoder.decode(payload, &mut self.decoded) {
            Ok(Decoded::Same) => payload,
            Ok(Decoded::Appended) => &self.decoded,
            Err(_) => {
                self.unused.unreadable += 1;
                return None;
            }
        };
        if self.selection.scan(payload, &mut self.found).is_err() {
            self.unused.unreadable += 1;
            return None;
        }
        if self.fields.pattern.as_ref().is_some_and(|pattern| !pattern.matches(payload)) {
            self.unused.filtered += 1;
            return None;
        }
        let width = self.fields.key.len();
        let mut values = [None; pipe::prepare::KEY_FIELDS_MAX];
        for (index, value) in values.iter_mut().enumerate().take(width) {
            *value = self.found.get(payload, index);
        }
        let mut next = width;
        let event_type = self.fields.event_type.is_some().then(|| {
            next += 1;
            self.found.get(payload, next - 1)
        });
        let event_type = event_type.flatten().and_then(|raw| raw.as_str());
        let event_type = event_type.as_deref().unwrap_or("").as_bytes();
        let Ok(key) = self.keys.key(event_type, values.get(..width)?, &mut self.scratch) else {
            self.unused.without_key += 1;
            return None;
        };
        if self.keep {
            self.last_type = String::from_utf8_lossy(event_type).into_owned();
            let text = |raw: &event::json::Raw<'_>| String::from_utf8_lossy(raw.bytes()).into();
            self.last_values = values.iter().take(width).flatten().map(text).collect();
        }
        let time_ms = match &self.fields.time {
            Some((_, format)) => {
                let raw = self.found.get(payload, next);
                raw.and_then(|raw| format.parse_ms(raw).ok()).unwrap_or(NO_TIME)
            }
            None => {
                let broker_ms = if self.fields.broker_time { beside.broker_ms } else { NO_TIME };
                let known = [beside.recorded_ms, broker_ms, beside.received_ms];
                known.into_iter().find(|ms| *ms != NO_TIME).unwrap_or(NO_TIME)
            }
        };
        if time_ms == NO_TIME {
            self.unused.without_time += 1;
            return None;
        }
        Some(Row { time_ms, key })
    }
}
