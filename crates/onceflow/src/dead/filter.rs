//! Which letters are meant, as typed and as it goes through the socket.

use connect::dead::{LetterFilter, Standing};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::generate;

/// Which letters are meant; what isn't set takes all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    pub(crate) consumers: Vec<String>,
    pub(crate) from_ms: Option<i64>,
    pub(crate) to_ms: Option<i64>,
    pub(crate) partition: Option<String>,
    pub(crate) shard: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) ids: Vec<String>,
    pub(crate) processed: bool,
}

impl Filter {
    /// Whether every open letter of some consumers is asked for.
    pub(crate) fn is_all(&self) -> bool {
        Self { consumers: Vec::new(), ..self.clone() } == Self::default()
    }

    /// For the letters of these pipes, those of the filter among them if it names some.
    pub(crate) fn letters(&self, pipes: &[String]) -> LetterFilter {
        let consumers = if self.consumers.is_empty() { pipes } else { &self.consumers };
        LetterFilter {
            consumers: consumers.to_vec(),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            partition: self.partition.as_ref().map(|key| key.clone().into_bytes()),
            shard: self.shard.clone(),
            class: self.class.clone(),
            ids: self.ids.clone(),
            standing: if self.processed { Standing::Done } else { Standing::Open },
        }
    }
}

/// A time as people write it: `2025-11-03T10:05:00Z`, `2025-11-03` (UTC), or `2h` (ago).
pub(crate) fn time(option: &str, text: &str, now_ms: i64) -> Result<i64, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    if let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(midnight.timestamp().as_millisecond());
    }
    let ago = generate::duration(option, text).map_err(|_| {
        Failure::usage(format!(
            "{option}: `{text}` isn't a time; write it like 2025-11-03T10:05:00Z, 2025-11-03 or 2h \
             (ago)"
        ))
    })?;
    let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Ok(now_ms.saturating_sub(ago_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now_ms = 1_762_164_303_000;
        for (text, ms) in [
            ("2025-11-03T10:05:03Z", now_ms),
            ("2025-11-03T11:05:03+01:00", now_ms),
            ("2025-11-03", 1_762_128_000_000),
            ("3s", now_ms - 3_000),
            ("2h", now_ms - 7_200_000),
        ] {
            assert_eq!(time("--from", text, now_ms).unwrap(), ms, "{text}");
        }
        for text in ["", "yesterday", "2025-13-01", "10"] {
            let refused = time("--from", text, now_ms).unwrap_err().message;
            assert!(refused.contains("--from") && refused.contains("2025-11-03"), "{refused}");
        }
    }

    #[test]
    fn a_filter_without_conditions_is_all() {
        let all = Filter { consumers: vec!["a".into()], ..Filter::default() };
        assert!(all.is_all());
        assert!(!Filter { processed: true, ..all.clone() }.is_all());
        assert!(!Filter { class: Some("x".into()), ..all.clone() }.is_all());
        assert_eq!(all.letters(&["a".into(), "b".into()]).consumers, ["a"]);
        assert_eq!(Filter::default().letters(&["a".into(), "b".into()]).consumers, ["a", "b"]);
    }
}
