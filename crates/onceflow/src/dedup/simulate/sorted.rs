//! Events in order of time, however they came: what doesn't fit into memory goes to a file in the
//! folder for temporary files, which has no name while it is used.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

/// Bytes of an event here: time and key.
pub(crate) const ROW_BYTES: usize = 24;
/// Events that are read back at once from each sorted part.
const READ_ROWS: usize = 1 << 14;

/// An event as far as the simulation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its time; ms since the Unix epoch.
    pub(crate) time_ms: i64,
    /// Its key.
    pub(crate) key: u128,
}

/// Takes events in any order.
pub(crate) struct Sorter {
    rows: Vec<Row>,
    rows_max: usize,
    parts: Vec<Part>,
    file: Option<File>,
    written: u64,
}

struct Part {
    at: u64,
    end: u64,
    rows: std::vec::IntoIter<Row>,
}

impl Sorter {
    /// Holds at most `bytes_max` in memory.
    pub(crate) fn new(bytes_max: usize) -> Sorter {
        let rows_max = (bytes_max / std::mem::size_of::<Row>()).max(1);
        Sorter { rows: Vec::new(), rows_max, parts: Vec::new(), file: None, written: 0 }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub(crate) fn push(&mut self, row: Row) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() >= self.rows_max { self.spill() } else { Ok(()) }
    }

    fn sort(&mut self) {
        // Stable: of events of one time the first stays the first.
        if !self.rows.is_sorted_by_key(|row| row.time_ms) {
            self.rows.sort_by_key(|row| row.time_ms);
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => nameless()?,
        };
        let at = self.written;
        let mut bytes = Vec::with_capacity(READ_ROWS * ROW_BYTES);
        for rows in self.rows.chunks(READ_ROWS) {
            bytes.clear();
            for row in rows {
                bytes.extend_from_slice(&row.time_ms.to_le_bytes());
                bytes.extend_from_slice(&row.key.to_le_bytes());
            }
            file.write_all(&bytes)?;
            self.written += bytes.len() as u64;
        }
        self.file = Some(file);
        self.parts.push(Part { at, end: self.written, rows: Vec::new().into_iter() });
        self.rows.clear();
        Ok(())
    }

    /// Hands out all events in order of time.
    ///
    /// # Errors
    /// What `each` says, and errors of temporary files, as it takes them.
    pub(crate) fn drain<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        self.sort();
        let Some(mut file) = self.file.take() else {
            return self.rows.into_iter().try_for_each(each);
        };
        let rows = std::mem::take(&mut self.rows).into_iter();
        self.parts.push(Part { at: 0, end: 0, rows });
        let mut next = BinaryHeap::new();
        for (index, part) in self.parts.iter_mut().enumerate() {
            if let Some(row) = part.take(&mut file)? {
                next.push(Reverse((row.time_ms, index, row.key)));
            }
        }
        // Of events of one time those of the earlier part go first: they came first.
        while let Some(Reverse((time_ms, index, key))) = next.pop() {
            each(Row { time_ms, key })?;
            if let Some(part) = self.parts.get_mut(index)
                && let Some(row) = part.take(&mut file)?
            {
                next.push(Reverse((row.time_ms, index, row.key)));
            }
        }
        Ok(())
    }
}

impl Part {
    fn take(&mut self, file: &mut File) -> io::Result<Option<Row>> {
        if let Some(row) = self.rows.next() {
            return Ok(Some(row));
        }
        if self.at == self.end {
            return Ok(None);
        }
        let bytes = (self.end - self.at).min((READ_ROWS * ROW_BYTES) as u64);
        let mut read = vec![0; usize::try_from(bytes).unwrap_or(ROW_BYTES)];
        file.seek(io::SeekFrom::Start(self.at))?;
        file.read_exact(&mut read)?;
        self.at += bytes;
        let row = |bytes: &[u8; ROW_BYTES]| {
            let (time, key) = bytes.split_at(8);
            Row {
                time_ms: i64::from_le_bytes(time.try_into().unwrap_or_default()),
                key: u128::from_le_bytes(key.try_into().unwrap_or_default()),
            }
        };
        self.rows = read.as_chunks().0.iter().map(row).collect::<Vec<Row>>().into_iter();
        Ok(self.rows.next())
    }
}

/// A file without a name: it is gone when the program ends, however it ends.
fn nameless() -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    for number in 0..1000 {
        let name = format!("onceflow-simulate-{}-{number}", std::process::id());
        let path: PathBuf = std::env::temp_dir().join(name);
        match options.open(&path) {
            Ok(file) => {
                rustix::fs::unlink(&path).map_err(io::Error::from)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn events_come_out_in_order_of_time_and_then_of_arrival(
            times in prop::collection::vec(0..20_i64, 0..300),
            held in 1_usize..80,
        ) {
            let mut sorter = Sorter::new(held * std::mem::size_of::<Row>());
            let rows: Vec<Row> =
                times.iter().zip(0..).map(|(&time_ms, key)| Row { time_ms, key }).collect();
            rows.iter().for_each(|row| sorter.push(*row).unwrap());
            let mut out = Vec::new();
            sorter.drain(|row| { out.push(row); Ok::<(), io::Error>(()) }).unwrap();
            let mut sorted = rows;
            sorted.sort_by_key(|row| row.time_ms);
            prop_assert_eq!(out, sorted);
        }
    }
}
