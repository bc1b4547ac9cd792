//! An archive as a table, and as JSON.

use connect::archive::read::{Archive, ArchiveFile, Damage};
use console::show;
use serde_json::{Value, json};

use super::job::damage_json;

/// What an archive holds.
pub(crate) struct Listed {
    pub(crate) files: Vec<Value>,
    pub(crate) summary: Summary,
}

/// All files together.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) files: u64,
    pub(crate) events: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) bytes: u64,
    pub(crate) received_ms: Option<(i64, i64)>,
    pub(crate) damages: Vec<Damage>,
}

impl Summary {
    pub(crate) fn of(archive: &Archive) -> Summary {
        let mut summary = Summary::default();
        for file in &archive.files {
            summary.files += 1;
            summary.events += file.events();
            summary.raw_bytes += file.raw_bytes();
            summary.bytes += file.bytes;
            if let Some((from, to)) = file.received_ms() {
                let (first, last) = summary.received_ms.unwrap_or((from, to));
                summary.received_ms = Some((first.min(from), last.max(to)));
            }
            summary.damages.extend(file.damages.iter().cloned());
        }
        summary
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "files": self.files,
            "events": self.events,
            "raw_bytes": self.raw_bytes,
            "bytes": self.bytes,
            "first_received": self.received_ms.map(|(first, _)| show::time(first)),
            "last_received": self.received_ms.map(|(_, last)| show::time(last)),
            "damages": self.damages.iter().map(damage_json).collect::<Vec<_>>(),
        })
    }
}

/// What `archive list` says, for scripts.
pub(crate) fn listed(archive: &Archive) -> Listed {
    let file = |file: &ArchiveFile| {
        let times = file.received_ms();
        json!({
            "path": file.path,
            "finished": file.finished,
            "first_received": times.map(|(first, _)| show::time(first)),
            "last_received": times.map(|(_, last)| show::time(last)),
            "blocks": file.blocks.len(),
            "events": file.events(),
            "raw_bytes": file.raw_bytes(),
            "bytes": file.bytes,
        })
    };
    Listed { files: archive.files.iter().map(file).collect(), summary: Summary::of(archive) }
}

/// The files with their times, events, bytes and how much smaller they are than their events.
pub(crate) fn table(archive: &Archive) -> String {
    let mut out = format!(
        "{:<20}  {:<20}  {:>12}  {:>10}  {:>6}  file\n",
        "first received", "last received", "events", "size", "ratio"
    );
    for file in &archive.files {
        let (first, last) = match file.received_ms() {
            Some((first, last)) => (show::time(first), show::time(last)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let path = file.path.display();
        let open = if file.finished { "" } else { " (being written)" };
        out.push_str(&format!(
            "{first:<20}  {last:<20}  {:>12}  {:>10}  {:>6}  {path}{open}\n",
            show::count(file.events()),
            show::bytes(file.bytes),
            ratio(file.raw_bytes(), file.bytes),
        ));
    }
    out
}

/// All files in a line.
pub(crate) fn summary_text(summary: &Summary) -> String {
    let ratio = ratio(summary.raw_bytes, summary.bytes);
    format!(
        "{} in {}, {} ({} before compression, ratio {ratio})\n",
        show::counted(summary.events, "event"),
        show::counted(summary.files, "file"),
        show::bytes(summary.bytes),
        show::bytes(summary.raw_bytes),
    )
}

fn ratio(raw_bytes: u64, bytes: u64) -> String {
    if bytes == 0 || raw_bytes == 0 {
        return "-".to_owned();
    }
    format!("{:.1}", raw_bytes as f64 / bytes as f64)
}
