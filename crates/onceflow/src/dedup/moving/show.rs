//! What an import says at its end; for one that rebuilds a ledger, what it could not bring back.

use console::show::{count, counted};

use super::import::{Done, DoneScope};
use crate::exit::{Exit, Failure};
use crate::print::out;

pub(super) fn done(done: &Done, json: bool) -> Result<Exit, Failure> {
    if json {
        let text = serde_json::to_string_pretty(done);
        return out(text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n");
    }
    let mut text = String::new();
    for scope in &done.scopes {
        text.push_str(&line(scope, done.dry_run));
    }
    if !done.lakes.is_empty() {
        text.push_str(&statement(done));
    }
    out(text)
}

fn line(scope: &DoneScope, dry_run: bool) -> String {
    let tally = &scope.tally;
    let verb = if dry_run { "would be imported" } else { "imported" };
    let new = if scope.is_new { ", which is new" } else { "" };
    let mut line = format!(
        "{} {verb} into scope {}{new}; {} read",
        counted(tally.imported, "key"),
        scope.scope,
        count(tally.read)
    );
    for (number, what) in [
        (tally.ended, "whose window is over"),
        (tally.of_letters, "of dead letters, which only their own data folder can replay"),
        (tally.other, "of other kinds"),
        (tally.without_expiry, "that never expire there: remembered for a window from now on"),
    ] {
        if number > 0 {
            line.push_str(&format!("\n  {} {what}", count(number)));
        }
    }
    line.push('\n');
    line
}

/// What a lake can't give back.
fn statement(done: &Done) -> String {
    let mut text = String::new();
    for lake in &done.lakes {
        text.push_str(&format!(
            "{}: {} and {} of the table read",
            lake.lake.display(),
            counted(lake.sidecars as u64, "sidecar"),
            counted(lake.parts as u64, "file")
        ));
        text.push_str(if lake.taken_over {
            "; it belongs to this data folder now\n"
        } else {
            "; it goes on belonging to its own data folder\n"
        });
        if !lake.unfinished.is_empty() {
            text.push_str(&format!(
                "  {} left as they are, their keys not imported: which of their rows are committed \
                 only the lost ledger knew. What their source gives again is delivered again; rows \
                 of messages that were acknowledged are in them only:\n",
                counted(lake.unfinished.len() as u64, "unfinished file")
            ));
            for file in &lake.unfinished {
                text.push_str(&format!("    {}\n", file.display()));
            }
        }
    }
    text.push_str(
        "A lake knows the keys of its rows, and nothing else. Not restored:\n\
         \x20 - keys of events that never became rows: those that died, and rows of other sinks;\n\
         \x20   such an event is delivered again when it comes again\n\
         \x20 - open dead letters as such (their files stay, and can be replayed by hand), parked events\n\
         \x20 - positions in sources: files and streams are read from their start, or from where the\n\
         \x20   config says; what is in the lake is then a duplicate within its window\n\
         \x20 - message ids: a queue's message that was settled and not deleted comes once more\n\
         \x20 - counters and reports; output that was committed and not published (spools)\n\
         \x20 - hashes of bodies: a duplicate of such a key counts as one with the same body\n",
    );
    if done.scopes.iter().any(|scope| scope.received != Some(false)) {
        text.push_str(
            "With `clock: received` an event that is read again gets the time of now: it is a \
             duplicate only if its window, counted from when it was first received, isn't over by \
             then. --hold DURATION remembers every key for so long from now.\n",
        );
    }
    text
}
