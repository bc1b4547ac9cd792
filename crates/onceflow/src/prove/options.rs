//! What `prove` was asked to do, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::plant::Plant;
use crate::args::RawProve;
use crate::command::data_folder;
use crate::exit::Failure;

/// How long it takes where nothing else ends it.
const TIME: Duration = Duration::from_secs(60);
/// The longest that can be asked for.
const TIME_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What to prove, and for how long.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Files with pipes.
    pub(crate) pipes: Vec<PathBuf>,
    /// Whose state is copied, if it is there.
    pub(crate) data_dir: PathBuf,
    /// Where events come from.
    pub(crate) supply: Supply,
    /// Ends after so many kills.
    pub(crate) kills: u64,
    /// And so many I/O errors.
    pub(crate) faults: u64,
    /// Ends after this time at the latest.
    pub(crate) time: Option<Duration>,
    /// Decides everything that is random.
    pub(crate) seed: u64,
    /// As JSON.
    pub(crate) json: bool,
    /// A breakage.
    pub(crate) plant: Option<Plant>,
    /// The scratch folder stays.
    pub(crate) keep: bool,
}

/// Where events come from.
#[derive(Clone, Debug)]
pub(crate) enum Supply {
    /// Made after the tests of the pipes, or after the paths that they look at.
    Made,
    /// Recorded ones, one a line.
    Recorded(PathBuf),
    /// Made after a description.
    Generated(PathBuf),
}

impl Asked {
    /// Checks what was typed.
    pub(crate) fn new(raw: RawProve) -> Result<Asked, Failure> {
        let counted = raw.kills.is_some() || raw.faults.is_some();
        let time = match &raw.time {
            Some(text) => Some(duration(text)?),
            None => (!counted).then_some(TIME),
        };
        let plant = raw.plant.as_deref().map(Plant::of).transpose()?;
        let supply = match (raw.events, raw.generate) {
            (Some(file), _) => Supply::Recorded(file),
            (None, Some(file)) => Supply::Generated(file),
            (None, None) => Supply::Made,
        };
        let no_end = if counted { 0 } else { u64::MAX };
        Ok(Asked {
            data_dir: data_folder(raw.data_dir, &raw.pipes),
            pipes: raw.pipes,
            supply,
            kills: raw.kills.unwrap_or(no_end),
            faults: raw.faults.unwrap_or(no_end),
            time,
            seed: raw.seed,
            json: raw.json,
            plant,
            keep: raw.keep,
        })
    }
}

/// `500ms`, `60s`, `10m`, `2h`.
fn duration(text: &str) -> Result<Duration, Failure> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(..text.len() - unit.len()).unwrap_or_default();
    let ms: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let time = ms.zip(digits.parse::<u64>().ok());
    let time = time.and_then(|(ms, number)| number.checked_mul(ms)).map(Duration::from_millis);
    time.filter(|time| (Duration::from_millis(1)..=TIME_MAX).contains(time)).ok_or_else(|| {
        Failure::usage(format!(
            "--time: `{text}` is no length of time up to 7 days; write it like 60s, 10m or 2h"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [("500ms", 500), ("60s", 60_000), ("10m", 600_000), ("2h", 7_200_000)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "10", "0s", "s", "8000h", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
