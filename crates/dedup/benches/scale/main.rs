//! What a key costs when there are many: time, memory, disk, restart, tails.
//!
//! `cargo bench -p dedup --bench scale -- PART [key=value …]`; `bench/dedup.py` runs all parts and
//! draws the curve. Each part prints one line of JSON.
//!
//! | part | what it does |
//! | --- | --- |
//! | `grow keys=N memory=BYTES core=0` | reserves and commits N different keys and 10% repeats of recent ones in batches of 65,536, checkpoints in the background; then opens it all again |
//! | `beyond keys=N memory=BYTES` | on what `grow` left in `dir=`: new keys and 10% repeats of any living key, first from the page cache, then from the disk |
//! | `tails keys=N` | latency of commits of 4,096 keys, apart for those during a checkpoint |
//! | `fjall keys=N` | the same batches through fjall, used the usual way: look up, insert, one synced batch |
//! | `plot from=LINES to=SVG` | draws the lines that the others printed |
//!
//! `core=C` binds the whole process to one core. `dir=DIR` is where to work (default: a temporary
//! folder, gone at the end).
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod cost;
mod fjall_way;
mod load;
mod parts;
mod plot;

use std::path::PathBuf;

/// What was asked for.
pub(crate) struct Asked {
    pub(crate) keys: u64,
    pub(crate) memory: u64,
    pub(crate) dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| {
        words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let number = |name, default: u64| value(name).map_or(default, |text| cost::count(&text));
    if let Some(core) = value("core") {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core.parse().unwrap());
        rustix::thread::sched_setaffinity(None, &cores).unwrap();
    }
    let temporary = value("dir").is_none().then(|| tempfile::tempdir().unwrap());
    let dir = value("dir").map(PathBuf::from);
    let asked = Asked {
        keys: number("keys", 1_000_000),
        memory: number("memory", 1 << 30),
        dir: dir.unwrap_or_else(|| temporary.as_ref().unwrap().path().to_owned()),
        _temporary: temporary,
    };
    match words.first().map(String::as_str) {
        Some("grow") => parts::grow(&asked),
        Some("beyond") => parts::beyond(&asked),
        Some("tails") => parts::tails(&asked),
        Some("fjall") => fjall_way::run(&asked),
        Some("plot") => {
            let path = |name: &str| PathBuf::from(value(name).unwrap());
            plot::draw(&path("from"), &path("to"));
        }
        // What `cargo bench` of everything does: small, to see that it works.
        _ => parts::grow(&asked),
    }
}
