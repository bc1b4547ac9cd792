//! What the demo prints: 80 columns, plain text.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use console::report::PipeReport;
use console::{Table, markdown, show};

use super::Seen;
use super::folder::Folder;
use super::sender::Sent;
use super::server::Server;

/// Event types of a pipe that get a row of their own.
const TYPES_SHOWN_MAX: usize = 12;
const COLUMNS: [&str; 4] = ["delivered", "duplicate", "filtered", "rejected"];

pub(super) fn begin(folder: &Folder) {
    println!("\n  onceflow demo, in {}\n", home(folder.path()));
}

fn step(number: u32, text: &str, took: Option<Duration>) {
    let took = took.map(show::seconds).unwrap_or_default();
    println!("  {number}  {text:<62}{took:>9}");
}

pub(super) fn started(server: &Server) {
    step(1, "onceflow serve demo.yaml --shard-records-in-per-s 0", None);
    println!("     a broker with a stream (4 shards, limits of shards off) and a queue, at");
    println!("     http://{}; three pipes, two of them with one scope\n", server.address());
    step(2, "onceflow generate event_config.yml --to stream:app-events", None);
    println!("     onceflow generate event_config.yml --to queue:app-events, and so on:");
    println!("     AWS SDK clients send, a tenth of it copies, some events through both\n");
}

pub(super) fn killed(settled: u64, after: Duration) {
    step(3, "kill -9, while they send", Some(after));
    println!("     {} events of the stream were settled by then", show::count(settled));
}

pub(super) fn restarted() {
    println!("     onceflow serve demo.yaml: the same again; the clients tried on meanwhile\n");
}

pub(super) fn sent(sent: &Sent, after: Duration) {
    step(4, "everything is acknowledged", Some(after));
    println!(
        "     {} into the stream, {} into the queue, {} through both\n",
        show::count(sent.into_stream),
        show::count(sent.acknowledged - sent.into_stream),
        show::count(sent.shared)
    );
}

pub(super) fn settled(after: Duration) {
    step(5, "everything is settled; SIGTERM", Some(after));
    println!();
}

pub(super) fn compacted(took: Duration) {
    step(6, "onceflow compact demo.yaml", Some(took));
    println!("     NDJSON by minute became Parquet by year, month, day and language\n");
}

pub(super) fn end(seen: &Seen) {
    let mut table = Table::new(&[
        "event type",
        "#received",
        "#delivered",
        "#duplicates",
        "#filtered",
        "#rejected",
    ]);
    for pipe in &seen.report.pipes {
        types(pipe, &mut table);
        table.line();
    }
    let sums = COLUMNS.map(|name| show::count(seen.sum(name)));
    let received = show::count(seen.received());
    table.row(["together".to_owned(), received].into_iter().chain(sums));
    println!("{}", table.plain(2));
    conservation(seen);
    files(seen);
    next(seen);
}

fn types(pipe: &PipeReport, table: &mut Table) {
    let mut sorted: Vec<_> = pipe.types.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.settled));
    let fits = if sorted.len() <= TYPES_SHOWN_MAX { sorted.len() } else { 4 };
    let mut row = |name: String, received: u64, counts: &BTreeMap<&str, u64>| {
        let counts = COLUMNS.map(|name| show::count(counts.get(name).copied().unwrap_or(0)));
        table.row([name, show::count(received)].into_iter().chain(counts));
    };
    for one in sorted.iter().take(fits) {
        row(one.name.clone(), one.settled, &one.outcomes);
    }
    let rest = sorted.get(fits..).unwrap_or(&[]);
    if !rest.is_empty() {
        let mut sum = BTreeMap::new();
        for one in rest {
            for (name, count) in &one.outcomes {
                *sum.entry(*name).or_default() += count;
            }
        }
        row(format!("{} more", rest.len()), rest.iter().map(|one| one.settled).sum(), &sum);
    }
}

fn conservation(seen: &Seen) {
    println!("  Conservation, by the ledger: what came in is what came out");
    for side in &seen.report.conservation {
        let text = markdown::balance(side);
        let (left, right) = text.split_once(" = ").unwrap_or((&text, "?"));
        println!("    {:<10} {left}", side.pipe);
        for (number, line) in wrapped(right, 62).iter().enumerate() {
            println!("               {} {line}", if number == 0 { '=' } else { ' ' });
        }
    }
    let counted = &seen.counted;
    println!("  And by the files, which know nothing of the ledger");
    println!(
        "    acknowledged  {} app events, {} different keys",
        show::count(seen.sent.acknowledged),
        show::count(seen.sent.different)
    );
    println!(
        "    Parquet       {} app events, {} different keys",
        show::count(counted.app_rows),
        show::count(counted.app_keys)
    );
    println!(
        "    edits         {} lines in the file, {} rows in Parquet",
        show::count(seen.edits),
        show::count(counted.edit_rows)
    );
    let verdict = if seen.is_right() {
        "Both agree: nothing lost, nothing twice, through a SIGKILL."
    } else {
        "THEY DIFFER: this is a defect, please report it."
    };
    println!("    {verdict}\n");
}

/// The terms of a sum in lines of at most `width` characters.
fn wrapped(sum: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for term in sum.split(" + ") {
        match lines.last_mut() {
            Some(line) if line.len() + 3 + term.len() <= width => {
                *line = format!("{line} + {term}")
            }
            Some(_) => lines.push(format!("+ {term}")),
            None => lines.push(term.to_owned()),
        }
    }
    lines
}

fn files(seen: &Seen) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let events = seen.sent.acknowledged + seen.edits;
    println!(
        "  Speed      {} events/s: {} in {}, sent over",
        show::count((events as f64 / seen.took.as_secs_f64()) as u64),
        show::counted(events, "event"),
        show::seconds(seen.took),
    );
    println!("             HTTP and synced before each answer, with a kill -9 and a restart;");
    println!("             clients and server on {}", show::counted(cores as u64, "core"));
    let root = seen.folder.path();
    println!(
        "  Lake       {} ({}) below {}",
        show::counted(seen.counted.files, "Parquet file"),
        show::bytes(seen.counted.bytes),
        home(&root.join("lake"))
    );
    if let Some(file) = &seen.counted.file {
        let inside = file.strip_prefix(root.join("lake")).unwrap_or(file);
        let folder = inside.parent().unwrap_or(inside);
        println!("             e.g. {}/\n", folder.display());
    }
}

fn next(seen: &Seen) {
    let program = std::env::current_exe().map_or_else(|_| "onceflow".into(), |path| home(&path));
    println!("  What to type next");
    println!("    cd {}; alias onceflow={program}", home(seen.folder.path()));
    println!("    onceflow report demo.yaml                       what happened, in full");
    println!("    onceflow serve demo.yaml                        the broker, for your own SDK");
    println!("    duckdb -c \"from 'lake/app/table/**/*.parquet'\"  or Polars, or pyarrow\n");
}

/// A path with `~` for the home folder.
fn home(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}
