//! What was asked about an archive, checked.

use std::path::PathBuf;

use connect::archive::playback::Speed;
use connect::archive::read::Range;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use pipe::stage::filter::Pattern;
use serde::{Deserialize, Serialize};

use crate::args::{RawArchive, RawArchiveWhere};
use crate::command::{count, data_folder};
use crate::exit::Failure;

/// Which archive, and when.
#[derive(Debug)]
pub(crate) struct Where {
    pub(crate) pipes: Vec<PathBuf>,
    pub(crate) pipe: Option<String>,
    pub(crate) data_dir: PathBuf,
    from: Option<String>,
    to: Option<String>,
    pub(crate) json: bool,
}

impl Where {
    fn new(raw: RawArchiveWhere) -> Where {
        let data_dir = data_folder(raw.data_dir, std::slice::from_ref(&raw.pipes));
        let RawArchiveWhere { pipes, pipe, from, to, json, .. } = raw;
        Where { pipes: vec![pipes], pipe, data_dir, from, to, json }
    }

    /// The range; lengths of time count back from `now_ms`.
    pub(crate) fn range(&self, now_ms: i64) -> Result<Range, Failure> {
        let read = |option: &str, text: &Option<String>, none: i64| match text {
            None => Ok(none),
            Some(text) => time(text, now_ms).ok_or_else(|| {
                Failure::usage(format!(
                    "{option}: `{text}` is no time; write it like 2026-11-03T10:15:00Z, 2026-11-03 \
                     (UTC), or 90m for 90 minutes ago"
                ))
            }),
        };
        let from_ms = read("--from", &self.from, i64::MIN)?;
        let to_ms = read("--to", &self.to, i64::MAX)?;
        if from_ms >= to_ms {
            return Err(Failure::usage("--from must be before --to"));
        }
        Ok(Range { from_ms, to_ms })
    }
}

/// What to do with an archive.
#[derive(Debug)]
pub(crate) enum Asked {
    List(Where),
    Verify(Where),
    Replay(Where, Replay),
}

/// What comes again, and how.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) to_sink: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) speed: Option<f64>,
    pub(crate) rate: Option<u64>,
    pub(crate) dedup: bool,
    pub(crate) dry_run: bool,
}

impl Asked {
    pub(crate) fn new(raw: RawArchive) -> Result<Asked, Failure> {
        Ok(match raw {
            RawArchive::List(at) => Asked::List(Where::new(at)),
            RawArchive::Verify(at) => Asked::Verify(Where::new(at)),
            RawArchive::Replay(raw) => {
                if raw.to_sink.is_none() && !raw.all_sinks {
                    return Err(Failure::usage("say where to: --to-sink NAME, or --all-sinks"));
                }
                if let Some(filter) = &raw.filter {
                    pattern(filter)?;
                }
                let replay = Replay {
                    to_sink: raw.to_sink,
                    filter: raw.filter,
                    speed: speed(&raw.speed)?,
                    rate: raw.rate.map(|rate| count("--rate", &rate)).transpose()?,
                    dedup: raw.dedup,
                    dry_run: raw.dry_run,
                };
                Asked::Replay(Where::new(raw.at), replay)
            }
        })
    }
}

/// What a replay's job needs to know; goes through the socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayArgs {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) to_sink: Option<String>,
    /// An event pattern, as JSON.
    pub(crate) filter: Option<String>,
    /// Times the original pace; `None`: as fast as it goes.
    pub(crate) speed: Option<f64>,
    pub(crate) rate: Option<u64>,
    pub(crate) dedup: bool,
}

impl ReplayArgs {
    pub(crate) fn new(replay: &Replay, range: Range) -> ReplayArgs {
        ReplayArgs {
            from_ms: range.from_ms,
            to_ms: range.to_ms,
            to_sink: replay.to_sink.clone(),
            filter: replay.filter.clone(),
            speed: replay.speed,
            rate: replay.rate,
            dedup: replay.dedup,
        }
    }

    pub(super) const fn range(&self) -> Range {
        Range { from_ms: self.from_ms, to_ms: self.to_ms }
    }

    pub(super) fn speed(&self) -> Speed {
        self.speed.map_or(Speed::Max, Speed::Times)
    }
}

/// Compiles `--filter`.
pub(super) fn pattern(text: &str) -> Result<Pattern, Failure> {
    let json = serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("--filter isn't JSON: {error}")))?;
    Pattern::compile(&json).map_err(|error| Failure::usage(format!("--filter: {error}")))
}

/// `max`, or how many times as fast.
fn speed(text: &str) -> Result<Option<f64>, Failure> {
    if text == "max" {
        return Ok(None);
    }
    let times = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
    let times = times.filter(|times| (0.001..=1e6).contains(times));
    times.map(Some).ok_or_else(|| {
        let what = "is no speed; write max, 1 for the original pace, or 10 for ten times that";
        Failure::usage(format!("--speed: `{text}` {what}"))
    })
}

/// A time in ms since the Unix epoch.
fn time(text: &str, now_ms: i64) -> Option<i64> {
    if let Some(ago_ms) = ago(text) {
        return Some(now_ms.saturating_sub(ago_ms));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let civil = match text.parse::<DateTime>() {
        Ok(civil) => civil,
        Err(_) => text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
    };
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// `90s`, `90m`, `2h`, `1d`, in ms.
fn ago(text: &str) -> Option<i64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(i64::from(digits.parse::<u32>().ok()?) * unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = 1_762_164_303_000;
        for text in ["2025-11-03T10:05:03Z", "2025-11-03T11:05:03+01:00", "2025-11-03T10:05:03"] {
            assert_eq!(time(text, 0), Some(at), "{text}");
        }
        assert_eq!(time("2025-11-03 10:05", 0), Some(at - 3000));
        assert_eq!(time("2025-11-03", 0), Some(1_762_128_000_000));
        assert_eq!(time("90m", at), Some(at - 5_400_000));
        assert_eq!(time("1d", at), Some(at - 86_400_000));
        for text in ["", "m", "yesterday", "10:05", "2025-13-01", "-5m"] {
            assert_eq!(time(text, at), None, "{text}");
        }
    }

    #[test]
    fn speeds() {
        assert_eq!(speed("max").unwrap(), None);
        assert_eq!(speed("1").unwrap(), Some(1.0));
        assert_eq!(speed("10x").unwrap(), Some(10.0));
        for text in ["", "0", "-1", "fast", "nan", "inf"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }
}
