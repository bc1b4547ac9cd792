//! What `generate` was asked to do, checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wire::{Endpoint, Kind, Target};
use super::{Amount, FieldName, Format, Late, field_name};
use crate::args::{RawFormat, RawGenerate};
use crate::command::{count, share};
use crate::exit::Failure;

/// Events a second at most.
const RATE_MAX: f64 = 1e9;
/// Requests under way at once, at most.
const CONNECTIONS_MAX: usize = 256;
/// Records of a payload at most; Lambda gets 10,000 from Kinesis at most.
const RECORDS_PER_PAYLOAD_MAX: u64 = 10_000;
/// Characters of a queue's or stream's name at most.
const NAME_CHARS_MAX: usize = 128;

/// What to generate, and where it goes.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The description of the events.
    pub(crate) config: PathBuf,
    /// How many.
    pub(crate) amount: Amount,
    /// Events a second; `None`: as fast as it goes.
    pub(crate) rate: Option<f64>,
    /// Where they go.
    pub(crate) to: To,
    /// The field that decides on the shard; `None`: the key.
    pub(crate) partition_key: Option<FieldName>,
    /// Print the summary as JSON.
    pub(crate) json: bool,
}

/// Where events go.
#[derive(Debug)]
pub(crate) enum To {
    /// Standard output.
    Stdout(Format),
    /// A file.
    File(PathBuf, Format),
    /// A stream or queue; the keys of acknowledged events go to the file.
    Wire(Target, Option<PathBuf>),
}

impl Asked {
    /// Checks what was typed.
    pub(crate) fn new(raw: RawGenerate) -> Result<Asked, Failure> {
        let events = count("--events", &raw.events)?;
        let duplicates = share("--duplicates", &raw.duplicates, events)?;
        let other_bodies = share("--duplicates-other-body", &raw.duplicates_other_body, events)?;
        if duplicates + other_bodies >= events && duplicates + other_bodies > 0 {
            return Err(Failure::usage(
                "--duplicates and --duplicates-other-body leave no event to copy: lower one",
            ));
        }
        let late = match (&raw.late, &raw.late_by) {
            (None, None) => None,
            (Some(of), Some(by)) => {
                let by_ms = duration("--late-by", by)?.as_millis();
                let of = share("--late", of, 1 << 32)?;
                Some(Late { of, by_ms: i64::try_from(by_ms).unwrap_or(i64::MAX) })
            }
            _ => {
                return Err(Failure::usage(
                    "--late and --late-by belong together: --late 5% --late-by 10m",
                ));
            }
        };
        let rate = match &raw.rate {
            Some(text) => Some(per_second(text)?),
            None => None,
        };
        let amount = Amount { events, duplicates, other_bodies, late, seed: raw.seed };
        let partition_key = raw.partition_key.as_deref().map(field_name);
        let to = to(&raw)?;
        if raw.json && matches!(to, To::Stdout(_)) {
            return Err(Failure::usage(
                "--json prints the summary to standard output, where the events go too: \
                 write them to a file",
            ));
        }
        Ok(Asked { config: raw.config, amount, rate, to, partition_key, json: raw.json })
    }
}

fn to(raw: &RawGenerate) -> Result<To, Failure> {
    let Some(target) = &raw.to else {
        let wire_only = [
            ("--endpoint", raw.endpoint.is_some()),
            ("--connections", raw.connections.is_some()),
            ("--retry-for", raw.retry_for.is_some()),
            ("--acknowledged", raw.acknowledged.is_some()),
        ];
        if let Some((option, _)) = wire_only.iter().find(|(_, given)| *given) {
            let message = format!("{option} belongs to --to stream:NAME or --to queue:NAME");
            return Err(Failure::usage(message));
        }
        let format = format(raw)?;
        if format == Format::Lines && raw.partition_key.is_some() {
            return Err(Failure::usage(
                "--partition-key belongs to --to stream:NAME or to --format kinesis-lambda",
            ));
        }
        return Ok(match &raw.out {
            Some(path) if path != Path::new("-") => To::File(path.clone(), format),
            _ => To::Stdout(format),
        });
    };
    let (kind, name) = match target.split_once(':') {
        Some(("stream", name)) => (Kind::Stream, name),
        Some(("queue", name)) => (Kind::Queue, name),
        _ => {
            let message = format!("--to: `{target}` is neither stream:NAME nor queue:NAME");
            return Err(Failure::usage(message));
        }
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(Failure::usage(format!(
            "--to: `{name}` can't be a name: 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_`, `.`"
        )));
    }
    let endpoint = raw.endpoint.as_deref().unwrap_or("http://127.0.0.1:4566");
    let endpoint = match endpoint {
        "aws" => Endpoint::Aws,
        url if url.starts_with("http://") || url.starts_with("https://") => {
            Endpoint::Url(url.trim_end_matches('/').to_owned())
        }
        other => {
            let message = format!("--endpoint: `{other}` is neither an http address nor `aws`");
            return Err(Failure::usage(message));
        }
    };
    let connections = raw.connections.unwrap_or(8);
    if !(1..=CONNECTIONS_MAX).contains(&connections) {
        return Err(Failure::usage(format!("--connections: from 1 to {CONNECTIONS_MAX}")));
    }
    let retry_for = match &raw.retry_for {
        Some(text) => duration("--retry-for", text)?,
        None => Duration::from_secs(30),
    };
    if raw.records_per_payload.is_some() || raw.format == RawFormat::KinesisLambda {
        return Err(Failure::usage("--format kinesis-lambda goes to a file: leave --to out"));
    }
    if kind == Kind::Queue && raw.partition_key.is_some() {
        return Err(Failure::usage("--partition-key: a queue has no partitions"));
    }
    let target = Target { kind, name: name.to_owned(), endpoint, connections, retry_for };
    Ok(To::Wire(target, raw.acknowledged.clone()))
}

fn format(raw: &RawGenerate) -> Result<Format, Failure> {
    match (raw.format, raw.records_per_payload) {
        (RawFormat::Lines, None) => Ok(Format::Lines),
        (RawFormat::Lines, Some(_)) => {
            Err(Failure::usage("--records-per-payload belongs to --format kinesis-lambda"))
        }
        (RawFormat::KinesisLambda, records) => {
            let records_per_payload = records.unwrap_or(100);
            if (1..=RECORDS_PER_PAYLOAD_MAX).contains(&records_per_payload) {
                return Ok(Format::KinesisLambda { records_per_payload });
            }
            let message = format!("--records-per-payload: from 1 to {RECORDS_PER_PAYLOAD_MAX}");
            Err(Failure::usage(message))
        }
    }
}

/// `200ms`, `30s`, `10m`, `2h`, `1d`; above 0.
pub(crate) fn duration(option: &str, text: &str) -> Result<Duration, Failure> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(..text.len() - unit.len()).unwrap_or_default();
    let ms: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|number| (1..=1_000_000_000).contains(number));
    match ms.zip(number) {
        Some((ms, number)) => Ok(Duration::from_millis(ms * number)),
        None => Err(Failure::usage(format!(
            "{option}: `{text}` is no length of time; write it like 200ms, 30s, 10m, 2h or 1d"
        ))),
    }
}

fn per_second(text: &str) -> Result<f64, Failure> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => text.strip_suffix(['m', 'M']).map_or((text, 1.0), |digits| (digits, 1e6)),
    };
    let rate = digits.parse::<f64>().ok().map(|rate| rate * factor);
    rate.filter(|rate| (0.001..=RATE_MAX).contains(rate)).ok_or_else(|| {
        Failure::usage(format!(
            "--rate: `{text}` isn't a number of events a second; write it like 500, 0.5 or 20k"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_rates_are_read_as_people_write_them() {
        for (text, ms) in [("200ms", 200), ("30s", 30_000), ("10m", 600_000), ("1d", 86_400_000)] {
            assert_eq!(duration("--late-by", text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "10", "m", "1.5s", "-1s", "0s", "3 weeks"] {
            assert!(duration("--late-by", text).is_err(), "{text}");
        }
        for (text, rate) in [("1", 1.0), ("0.5", 0.5), ("20k", 20_000.0), ("1.5M", 1_500_000.0)] {
            assert_eq!(per_second(text).unwrap(), rate, "{text}");
        }
        for text in ["", "0", "-1", "fast", "nan", "inf", "2G"] {
            assert!(per_second(text).is_err(), "{text}");
        }
    }
}
