//! How files and folders of the staging tier are called.

use std::path::{Path, PathBuf};

use event::BatchNumber;
use event::sink::SinkIdentity;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Ending of every unfinished file.
pub(super) const OPEN: &str = ".open";
const ROWS: &str = ".ndjson";
const KEYS: &str = ".keys";
/// Length of a minute at the front of a marker's name, `2026-11-03T10.05-`.
const MARKER_MINUTE_BYTES: usize = 17;
/// The first and the last minute that have a folder: 1970 to 9998.
const MINUTES: std::ops::Range<i64> = 0..4_222_846_080;

/// A minute since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minute(i64);

impl Minute {
    /// The minute of a time in ms, when it has a folder.
    pub(super) fn of_ms(ms: i64) -> Option<Self> {
        let minute = ms.div_euclid(60_000);
        MINUTES.contains(&minute).then_some(Self(minute))
    }

    /// The first minute there is.
    pub(super) const FIRST: Self = Self(MINUTES.start);

    /// The first ms after it.
    pub(super) const fn end_ms(self) -> i64 {
        (self.0 + 1) * 60_000
    }

    fn format(self, format: &str) -> String {
        let time = Timestamp::from_second(self.0 * 60).unwrap_or(Timestamp::UNIX_EPOCH);
        time.to_zoned(TimeZone::UTC).strftime(format).to_string()
    }

    /// Its folder below the lake's root.
    pub(super) fn folder(self) -> String {
        self.format("year=%Y/month=%m/day=%d/hour=%H/minute=%M")
    }

    fn parse(text: &str, format: &str) -> Option<Self> {
        let time = jiff::civil::DateTime::strptime(format, text).ok()?;
        let second = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        Self::of_ms(second.checked_mul(1000)?)
    }
}

/// A file of the staging tier: its minute and what its name begins with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) minute: Minute,
    /// Ledger id, pipe, sink, epoch, first batch and number in the batch.
    pub(super) stem: String,
}

impl FileName {
    /// The name of its rows in the ledger, and its final path below the root.
    pub(super) fn rows(&self) -> String {
        format!("{}/{}{ROWS}", self.minute.folder(), self.stem)
    }

    /// The same of its sidecar. Tools that read folders of data skip what begins with `_`.
    pub(super) fn keys(&self) -> String {
        format!("{}/_{}{KEYS}", self.minute.folder(), self.stem)
    }

    /// The name of its marker.
    pub(super) fn marker(&self) -> String {
        format!("{}-{}", self.minute.format("%Y-%m-%dT%H.%M"), self.stem)
    }

    /// Out of a marker's name.
    pub(super) fn of_marker(marker: &str) -> Option<Self> {
        let (minute, stem) = marker.split_at_checked(MARKER_MINUTE_BYTES)?;
        let minute = Minute::parse(minute, "%Y-%m-%dT%H.%M-")?;
        Some(Self { minute, stem: stem.to_owned() })
    }

    /// Out of a name in the ledger, and whether that is the name of the rows.
    pub(super) fn of_staged(name: &str) -> Option<(Self, bool)> {
        let (folder, file) = name.rsplit_once('/')?;
        let minute = Minute::parse(folder, "year=%Y/month=%m/day=%d/hour=%H/minute=%M")?;
        let rows = file.strip_suffix(ROWS).map(|stem| (stem, true));
        let keys = || Some((file.strip_prefix('_')?.strip_suffix(KEYS)?, false));
        let (stem, is_rows) = rows.or_else(keys)?;
        Some((Self { minute, stem: stem.to_owned() }, is_rows))
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

    /// What lies beside the data.
    pub(super) fn own_folder(&self) -> PathBuf {
        self.root.join("_onceflow")
    }

    /// Names the files that are begun, so that recovery finds those that no record names.
    pub(super) fn markers(&self) -> PathBuf {
        self.own_folder().join("open")
    }

    /// The final path of a file of that name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of a file until it is finished.
    pub(super) fn open_path(&self, name: &str) -> PathBuf {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        // Hidden from tools that read folders: its last rows may not be committed.
        let hidden = if file.starts_with('_') { "" } else { "_" };
        self.root.join(folder).join(format!("{hidden}{file}{OPEN}"))
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
        minute: Minute,
        epoch: u64,
        first: BatchNumber,
        number: u32,
    ) -> FileName {
        FileName { minute, stem: format!("{}{epoch}-{first}-{number}", self.prefix) }
    }
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

#[cfg(test)]
mod tests {
    use event::{Epoch, LedgerId};

    use super::*;

    fn place(pipe: &str, sink: &str) -> Place {
        let identity = SinkIdentity {
            ledger_id: LedgerId(7),
            epoch: Epoch(1),
            pipe: pipe.into(),
            sink: sink.into(),
            scope: None,
        };
        Place::new(Path::new("/lake"), &identity)
    }

    #[test]
    fn names_are_read_back() {
        for ms in [0, 1_762_164_303_000, 253_370_764_799_999] {
            let minute = Minute::of_ms(ms).unwrap();
            let file = place("my-pipe", "a/b-c").new_file(minute, 3, BatchNumber(17), 2);
            assert_eq!(FileName::of_staged(&file.rows()), Some((file.clone(), true)));
            assert_eq!(FileName::of_staged(&file.keys()), Some((file.clone(), false)));
            assert_eq!(FileName::of_marker(&file.marker()), Some(file));
        }
        let file = place("my-pipe", "a/b-c").new_file(Minute(29_369_405), 3, BatchNumber(17), 2);
        let folder = "year=2025/month=11/day=03/hour=10/minute=05";
        let stem = "00000000000000000000000000000007-my-pipe-a~2fb~2dc-3-17-2";
        assert_eq!(file.rows(), format!("{folder}/{stem}.ndjson"));
        assert_eq!(file.keys(), format!("{folder}/_{stem}.keys"));
        let open = format!("/lake/{folder}/_{stem}.ndjson.open");
        assert_eq!(place("p", "s").open_path(&file.rows()), PathBuf::from(open));
    }

    #[test]
    fn years_without_a_folder() {
        for ms in [-1, i64::MIN, i64::MAX, 253_370_764_800_000] {
            assert_eq!(Minute::of_ms(ms), None, "{ms}");
        }
    }

    #[test]
    fn a_sink_owns_its_own_files_only() {
        let minute = Minute::of_ms(0).unwrap();
        let stem = |pipe, sink| place(pipe, sink).new_file(minute, 1, BatchNumber(2), 3).stem;
        assert!(place("a", "b").owns(&stem("a", "b")));
        assert!(place("a-b", "c").owns(&stem("a-b", "c")));
        assert_ne!(stem("a-b", "c"), stem("a", "b-c"));
        assert!(!place("a", "b").owns(&stem("a-b", "c")));
        assert!(!place("a", "b").owns(&stem("a", "b2")));
        assert!(!place("a", "1").owns(&stem("a-1", "1")));
        assert!(!place("a", "b").owns(&stem("a", "b").replace("07-", "08-")));
    }
}
