//! Reads what came out, as any reader of it would.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::Broker;
use broker::queues::Receive;
use event::{Clock, SystemClock};
use journal::{Disk, RealDisk};

use super::child::broker_options;
use super::place::Place;
use super::receiver::Receiver;
use super::redirect::{Output, OutputKind};
use crate::exit::{Exit, Failure};

/// Messages taken at once.
const MESSAGES_MAX: usize = 1_000;
/// Nobody else reads at the end.
const HELD_MS: i64 = 3_600_000;

/// A row that came out.
pub(super) type Row = Vec<u8>;

/// All files below a folder, sorted.
pub(super) fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn lines(path: &Path) -> Vec<Row> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let mut rows: Vec<Row> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    // Behind the last newline there is nothing, unless a row isn't whole.
    if rows.last().is_some_and(Vec::is_empty) {
        rows.pop();
    }
    rows
}

/// Reads every output; the rows of those that a pipe reads are looked for where that delivers.
pub(super) fn read(
    outputs: &[Output],
    place: &Place,
    receiver: Option<&Receiver>,
) -> Result<Vec<Vec<Row>>, Failure> {
    let brokered = |output: &Output| {
        matches!(output.kind, OutputKind::Stream(_) | OutputKind::Queue(_)) && !output.is_read
    };
    let broker = if outputs.iter().any(brokered) { Some(open(place)?) } else { None };
    let mut all = Vec::new();
    for output in outputs {
        all.push(match (&output.kind, &broker) {
            _ if output.is_read => Vec::new(),
            (OutputKind::File(path), _) => lines(path),
            (OutputKind::Lake(root), _) => lake(root),
            (OutputKind::Http(path), _) => receiver.map(|it| it.rows(path)).unwrap_or_default(),
            (OutputKind::Stream(name), Some(broker)) => stream(broker, name).map_err(unread)?,
            (OutputKind::Queue(name), Some(broker)) => queue(broker, name).map_err(unread)?,
            _ => Vec::new(),
        });
    }
    if let Some(broker) = broker {
        broker.close().map_err(unread)?;
    }
    Ok(all)
}

fn unread(error: broker::BrokerError) -> Failure {
    Failure::new(Exit::Failed, format!("the broker can't be read: {error}"))
}

fn open(place: &Place) -> Result<Broker, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Broker::open(&disk, &place.data().join("broker"), broker_options(), &clock).map_err(unread)
}

/// Rows of finished files: what a reader of the folder sees.
fn lake(root: &Path) -> Vec<Row> {
    let finished = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".ndjson") && !name.starts_with('_')
    };
    files(root).iter().filter(|path| finished(path)).flat_map(|path| lines(path)).collect()
}

fn stream(broker: &Broker, name: &str) -> Result<Vec<Row>, broker::BrokerError> {
    let stream = broker.streams().get(name)?;
    let from: Vec<_> = stream.shards().iter().map(|_| Default::default()).collect();
    let mut reader = stream.reader(&from)?;
    let mut rows = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        rows.extend(chunk.records.iter().map(|record| record.data.to_vec()));
    }
    Ok(rows)
}

fn queue(broker: &Broker, name: &str) -> Result<Vec<Row>, broker::BrokerError> {
    let queue = broker.queues().get(name)?;
    let mut rows = Vec::new();
    loop {
        let messages = queue.receive(Receive {
            messages_max: MESSAGES_MAX,
            bytes_max: 64 << 20,
            visibility_ms: Some(HELD_MS),
            remembered: false,
        })?;
        if messages.is_empty() {
            return Ok(rows);
        }
        rows.extend(messages.into_iter().map(|message| message.body.to_vec()));
    }
}
