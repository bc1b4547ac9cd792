//! Bytes of a simulated file, sparse, so that a preallocated segment costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE_BYTES: u64 = 4096;

type Page = [u8; PAGE_BYTES as usize];

/// A length and the pages that aren't all zero. Copies share their pages.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) len: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

/// A run of bytes inside one page.
struct Piece {
    page: u64,
    from: usize,
    to: usize,
}

/// The pages that the bytes from `from` to `to` touch.
fn pieces(from: u64, to: u64) -> impl Iterator<Item = Piece> {
    (from / PAGE_BYTES..to.div_ceil(PAGE_BYTES)).map(move |page| {
        let begin = page * PAGE_BYTES;
        Piece {
            page,
            from: (from.max(begin) - begin) as usize,
            to: (to.min(begin + PAGE_BYTES) - begin) as usize,
        }
    })
}

impl Content {
    /// Reads up to the end of the file.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        let end = self.len.min(offset.saturating_add(into.len() as u64));
        if end <= offset {
            return 0;
        }
        let mut rest = into;
        for piece in pieces(offset, end) {
            let (now, later) = rest.split_at_mut(piece.to - piece.from);
            match self.pages.get(&piece.page).and_then(|page| page.get(piece.from..piece.to)) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            rest = later;
        }
        (end - offset) as usize
    }

    /// Writes without a look at the length: bytes past it show once the length covers them.
    pub(super) fn write_raw(&mut self, offset: u64, bytes: &[u8]) {
        let mut rest = bytes;
        for piece in pieces(offset, offset + bytes.len() as u64) {
            let (now, later) = rest.split_at(piece.to - piece.from);
            rest = later;
            if !self.pages.contains_key(&piece.page) && now.iter().all(|byte| *byte == 0) {
                continue;
            }
            let page =
                self.pages.entry(piece.page).or_insert_with(|| Arc::new([0; PAGE_BYTES as usize]));
            if let Some(place) = Arc::make_mut(page).get_mut(piece.from..piece.to) {
                place.copy_from_slice(now);
            }
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.write_raw(offset, bytes);
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    /// Cuts, or lengthens with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        drop(self.pages.split_off(&len.div_ceil(PAGE_BYTES)));
        let edge = len % PAGE_BYTES;
        if edge > 0
            && let Some(page) = self.pages.get_mut(&(len / PAGE_BYTES))
            && let Some(tail) = Arc::make_mut(page).get_mut(edge as usize..)
        {
            tail.fill(0);
        }
        self.len = len;
    }

    /// Starts of the `unit`-sized runs at or past `from` that may hold something.
    pub(super) fn units_from(&self, from: u64, unit: u64) -> Vec<u64> {
        let first = from / unit;
        self.pages
            .range(from / PAGE_BYTES..)
            .flat_map(|(page, _)| page * PAGE_BYTES / unit..(page + 1) * PAGE_BYTES / unit)
            .filter(|n| *n >= first)
            .collect()
    }
}
