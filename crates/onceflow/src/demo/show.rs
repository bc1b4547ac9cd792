//! What the demo prints: 80 columns, plain text.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use console::report::PipeReport;
use console::{Table, markdown, show};

use super::Seen;
use super::folder::Folder;

/// Event types of a pipe that get a row of their own.
const TYPES_SHOWN_MAX: usize = 12;
const COLUMNS: [&str; 4] = ["delivered", "duplicate", "filtered", "rejected"];

pub(super) fn begin(folder: &Folder) {
    println!("\n  onceflow demo, in {}\n", home(folder.path()));
}

fn step(number: u32, text: &str, took: Duration) {
    println!("  {number}  {text:<62}{:>9}", show::seconds(took));
}

pub(super) fn made(edits: u64, app: u64, took: Duration) {
    let (edits, app) = (show::count(edits), show::count(app));
    step(1, &format!("input: {edits} Wikipedia edits and {app} app events,"), took);
    println!("     a tenth of these copies of earlier ones, and a few of them broken\n");
}

pub(super) fn killed(settled: u64, total: u64, took: Duration) {
    step(2, "onceflow run wikipedia.yaml app.yaml", took);
    println!(
        "     killed with SIGKILL once {} of {} events were settled\n",
        show::count(settled),
        show::count(total)
    );
}

pub(super) fn resumed(took: Duration) {
    step(3, "onceflow run wikipedia.yaml app.yaml", took);
    println!("     the same again: it goes on where the ledger ends\n");
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
    println!("    inputs     {} lines", show::count(seen.events));
    println!(
        "    lake       {} rows, {} different keys; {} expected",
        show::count(counted.lake_rows),
        show::count(counted.lake_keys),
        show::count(counted.expected_rows)
    );
    println!(
        "    rejected   {} rows, whole, each with its reason",
        show::count(counted.rejected_rows)
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
    let took = seen.killed.1 + seen.resumed_in;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "  Speed      {} events/s: {} in {}, two starts and",
        show::count((seen.events as f64 / took.as_secs_f64()) as u64),
        show::counted(seen.events, "event"),
        show::seconds(took),
    );
    println!("             the kill included, durable, on {}", show::counted(cores as u64, "core"));
    let root = seen.folder.path();
    println!(
        "  Lake       {} of rows below {}",
        show::counted(seen.counted.lake_files, "file"),
        home(&root.join("lake"))
    );
    if let Some(file) = &seen.counted.lake_file {
        let inside = file.strip_prefix(root.join("lake")).unwrap_or(file);
        let folder = inside.parent().unwrap_or(inside);
        println!("             e.g. {}/", folder.display());
    }
    println!("  Rejected   {}\n", home(&seen.folder.data_dir().join("rejected/app.ndjson")));
}

fn next(seen: &Seen) {
    let program = std::env::current_exe().map_or_else(|_| "onceflow".into(), |path| home(&path));
    println!("  What to type next");
    println!("    cd {}; alias onceflow={program}", home(seen.folder.path()));
    println!("    onceflow report app.yaml                          what happened, in full");
    println!("    onceflow run wikipedia.yaml app.yaml --reread     all duplicates, no new row");
    println!("    onceflow check app.yaml                           after you changed it\n");
}

/// A path with `~` for the home folder.
fn home(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}
