//! How files and folders of an archive are called.

use std::path::{Path, PathBuf};

use event::sink::SinkIdentity;
use event::{BatchNumber, LedgerId};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Ending of every finished file.
pub(super) const FILE: &str = ".archive";
/// What an unfinished file's name ends with, after [`FILE`].
pub(super) const OPEN: &str = ".open";
/// Length of the hour at the front of a marker's name, `2026-11-03T10-`.
const MARKER_HOUR_BYTES: usize = 14;
const MARKER_HOUR: &str = "%Y-%m-%dT%H-";
const FOLDER: &str = "year=%Y/month=%m/day=%d/hour=%H";
/// The first and the last hour that have a folder: 1970 to 9998.
const HOURS: std::ops::Range<i64> = 0..70_380_768;
const HOUR_MS: i64 = 3_600_000;

/// An hour since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(i64);

impl Hour {
    /// The first hour that there is.
    pub(super) const FIRST: Self = Self(HOURS.start);

    /// The hour of a time in ms; times without a folder belong to the first or the last hour.
    #[must_use]
    pub fn of_ms(ms: i64) -> Self {
        Self(ms.div_euclid(HOUR_MS).clamp(HOURS.start, HOURS.end - 1))
    }

    /// Its first ms since the Unix epoch.
    #[must_use]
    pub const fn start_ms(self) -> i64 {
        self.0 * HOUR_MS
    }

    /// The first ms after it.
    #[must_use]
    pub const fn end_ms(self) -> i64 {
        (self.0 + 1) * HOUR_MS
    }

    /// The hour before; the first one's is itself.
    pub(super) fn before(self) -> Self {
        Self((self.0 - 1).max(HOURS.start))
    }

    fn format(self, format: &str) -> String {
        let time = Timestamp::from_second(self.0 * 3600).unwrap_or(Timestamp::UNIX_EPOCH);
        time.to_zoned(TimeZone::UTC).strftime(format).to_string()
    }

    /// Its folder below the archive's root.
    pub(super) fn folder(self) -> String {
        self.format(FOLDER)
    }

    fn parse(text: &str, format: &str) -> Option<Self> {
        let text = format!("{text} 00:00");
        let time = jiff::civil::DateTime::strptime(format!("{format} %M:%S"), &text).ok()?;
        let second = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        let hour = second.div_euclid(3600);
        HOURS.contains(&hour).then_some(Self(hour))
    }
}

/// A file of an archive: its hour and what its name begins with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) hour: Hour,
    /// Ledger id, pipe, sink, epoch, first batch and number in the batch.
    pub(super) stem: String,
}

impl FileName {
    /// Its name in the ledger, and its final path below the root.
    pub(super) fn staged(&self) -> String {
        format!("{}/{}{FILE}", self.hour.folder(), self.stem)
    }

    /// The name of its marker.
    pub(super) fn marker(&self) -> String {
        format!("{}{}", self.hour.format(MARKER_HOUR), self.stem)
    }

    /// Out of a marker's name.
    pub(super) fn of_marker(marker: &str) -> Option<Self> {
        let (hour, stem) = marker.split_at_checked(MARKER_HOUR_BYTES)?;
        Some(Self { hour: Hour::parse(hour, MARKER_HOUR)?, stem: stem.to_owned() })
    }

    /// Out of a name in the ledger.
    pub(super) fn of_staged(name: &str) -> Option<Self> {
        let (folder, file) = name.rsplit_once('/')?;
        let stem = file.strip_suffix(FILE)?.to_owned();
        Some(Self { hour: Hour::parse(folder, FOLDER)?, stem })
    }
}

/// Where a sink's files lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
    /// What the names of all the sink's files begin with.
    prefix: String,
}

impl Place {
    pub(super) fn new(root: &Path, identity: &SinkIdentity) -> Self {
        let pipe = escape(&identity.pipe, b"-_.");
        let sink = escape(&identity.sink, b"_.");
        let prefix = format!("{}-{pipe}-{sink}-", identity.ledger_id);
        Self { root: root.to_path_buf(), prefix }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Names the files that are begun, so that recovery finds those that no record names.
    pub(super) fn markers(&self) -> PathBuf {
        self.root.join("_onceflow/open")
    }

    /// Says up to which hour finished files were removed.
    pub(super) fn removed(&self) -> PathBuf {
        self.root.join("_onceflow/removed")
    }

    /// The name in there that stands for `hour`.
    pub(super) fn removed_through(&self, hour: Hour) -> String {
        format!("{}{}", hour.format(MARKER_HOUR), self.prefix)
    }

    /// The hour that such a name of this sink stands for.
    pub(super) fn removed_hour(&self, name: &str) -> Option<Hour> {
        let name = FileName::of_marker(name)?;
        (name.stem == self.prefix).then_some(name.hour)
    }

    /// The final path of a file of that name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of a file until it is finished.
    pub(super) fn open_path(&self, name: &str) -> PathBuf {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        self.root.join(folder).join(format!("_{file}{OPEN}"))
    }

    /// Whether a stem is this sink's.
    pub(super) fn owns(&self, stem: &str) -> bool {
        let rest = stem.strip_prefix(&self.prefix);
        rest.is_some_and(|rest| {
            rest.split('-').count() == 3 && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        })
    }

    /// The name of a new file.
    pub(super) fn new_file(
        &self,
        hour: Hour,
        epoch: u64,
        first: BatchNumber,
        number: u32,
    ) -> FileName {
        FileName { hour, stem: format!("{}{epoch}-{first}-{number}", self.prefix) }
    }
}

/// What the name of a file says, whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) ledger: LedgerId,
    /// The pipe, as it stands in names.
    pub(super) pipe: String,
    /// Epoch, first batch and number in the batch: files of one sink in the order of their making.
    pub(super) order: (u64, u64, u64),
    /// Whether it has its final name.
    pub(super) finished: bool,
}

impl Written {
    /// Reads the name of a file in a folder of hours.
    pub(super) fn of(file: &str) -> Option<Self> {
        let (stem, finished) = match file.strip_suffix(FILE) {
            Some(stem) => (stem, true),
            None => (file.strip_prefix('_')?.strip_suffix(OPEN)?.strip_suffix(FILE)?, false),
        };
        let (ledger, rest) = stem.split_once('-')?;
        let ledger = u128::from_str_radix(ledger, 16).ok().filter(|_| ledger.len() == 32)?;
        // From its end: the pipe's name may hold dashes.
        let mut parts = rest.rsplitn(5, '-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (in_batch, batch, epoch) = (number()?, number()?, number()?);
        let _sink = parts.next()?;
        let pipe = parts.next()?.to_owned();
        Some(Self { ledger: LedgerId(ledger), pipe, order: (epoch, batch, in_batch), finished })
    }
}

/// The name of a pipe as it stands in file names.
pub(super) fn pipe_in_names(pipe: &str) -> String {
    escape(pipe, b"-_.")
}

/// Keeps ASCII letters, digits and `also`; every other byte becomes `~` and two hex digits.
fn escape(name: &str, also: &[u8]) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || also.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("~{byte:02x}"));
        }
    }
    escaped
}

/// The hours that folders below a root may hold, by one level's name: `year=2026` and so on.
pub(super) fn level(name: &str, key: &str) -> Option<i16> {
    name.strip_prefix(key)?.strip_prefix('=')?.parse().ok()
}

/// The hour of a folder's four levels.
pub(super) fn hour_of(year: i16, month: i16, day: i16, hour: i16) -> Option<Hour> {
    let small = |number: i16| i8::try_from(number).ok();
    let time = jiff::civil::DateTime::new(year, small(month)?, small(day)?, small(hour)?, 0, 0, 0);
    let second = time.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    let hour = second.div_euclid(3600);
    HOURS.contains(&hour).then_some(Hour(hour))
}

#[cfg(test)]
mod tests {
    use event::Epoch;

    use super::*;

    fn place(pipe: &str, sink: &str) -> Place {
        let identity = SinkIdentity {
            ledger_id: LedgerId(7),
            epoch: Epoch(1),
            pipe: pipe.into(),
            sink: sink.into(),
            scope: None,
        };
        Place::new(Path::new("/a"), &identity)
    }

    #[test]
    fn names_are_read_back() {
        for ms in [0, 1_762_164_303_000, 253_370_764_799_999] {
            let hour = Hour::of_ms(ms);
            let file = place("my-pipe", "a/b-c").new_file(hour, 3, BatchNumber(17), 2);
            assert_eq!(FileName::of_staged(&file.staged()), Some(file.clone()));
            assert_eq!(FileName::of_marker(&file.marker()), Some(file.clone()));
            let written = Written::of(&format!("_{}.archive.open", file.stem)).unwrap();
            let (ledger, pipe) = (LedgerId(7), "my-pipe".to_owned());
            assert_eq!(written, Written { ledger, pipe, order: (3, 17, 2), finished: false });
            assert!(Written::of(&format!("{}.archive", file.stem)).unwrap().finished);
        }
        let place = place("p", "s");
        let hour = Hour::of_ms(1_762_164_303_000);
        assert_eq!(hour.folder(), "year=2025/month=11/day=03/hour=10");
        assert_eq!(hour_of(2025, 11, 3, 10), Some(hour));
        assert_eq!(hour_of(2025, 2, 30, 10), None);
        assert_eq!(place.removed_hour(&place.removed_through(hour)), Some(hour));
        let open = format!("/a/{}/_x.archive.open", hour.folder());
        assert_eq!(place.open_path(&format!("{}/x.archive", hour.folder())), PathBuf::from(open));
        assert_eq!(Written::of("x.archive"), None);
    }

    #[test]
    fn times_without_a_folder_go_to_the_ends() {
        assert_eq!(Hour::of_ms(-1), Hour::FIRST);
        assert_eq!(Hour::of_ms(i64::MIN), Hour::FIRST);
        assert_eq!(Hour::of_ms(i64::MAX).folder(), "year=9998/month=12/day=31/hour=23");
    }

    #[test]
    fn a_sink_owns_its_own_files_only() {
        let hour = Hour::FIRST;
        let stem = |pipe, sink| place(pipe, sink).new_file(hour, 1, BatchNumber(2), 3).stem;
        assert!(place("a-b", "c").owns(&stem("a-b", "c")));
        assert!(!place("a", "b").owns(&stem("a-b", "c")));
        assert!(!place("a", "1").owns(&stem("a-1", "1")));
        assert!(!place("a", "b").owns(&stem("a", "b").replace("07-", "08-")));
    }
}
