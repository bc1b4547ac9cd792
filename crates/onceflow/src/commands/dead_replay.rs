//! `dead replay`: letters go through their pipe again.

use std::path::PathBuf;

use connect::dead::replay::admit;
use console::show;
use serde_json::json;

use super::dead::Look;
use crate::dead::replay::Asked;
use crate::exit::{Exit, Failure};
use crate::print::out;
use crate::progress::MovingLine;
use crate::replay::{self, Kind, Shown};
use crate::test_clock::OffsetClock;

/// Problems of a dry run that are named one by one.
const PROBLEMS_MAX: u64 = 100;

/// What `dead replay` does, and how.
pub(super) struct Order<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) pipe: String,
    pub(super) asked: Asked,
    pub(super) dry_run: bool,
    pub(super) json: bool,
}

pub(super) fn replay(
    looked: &Look,
    order: &Order<'_>,
    clock: &OffsetClock,
    moving: MovingLine,
) -> Result<Exit, Failure> {
    if order.dry_run {
        return try_out(looked, order);
    }
    let asked = replay::Asked {
        kind: Kind::Dead,
        pipe: order.pipe.clone(),
        args: serde_json::to_value(&order.asked).map_err(|e| Failure::new(Exit::Failed, e))?,
    };
    let mut shown = Shown::new(moving, order.json);
    let done = replay::run(&asked, order.files, &looked.data_dir, clock, &mut shown)?;
    let exit = done.exit();
    if order.json {
        let done = serde_json::to_string_pretty(&done);
        out(done.map_err(|error| Failure::new(Exit::Failed, error))? + "\n")?;
        return Ok(exit);
    }
    let superseded = done.report.details.get("superseded").and_then(serde_json::Value::as_u64);
    let mut text = format!("replay {}: {}\n", done.id, done.tally.text());
    if let Some(superseded) = superseded.filter(|count| *count > 0) {
        let letters = show::counted(superseded, "letter");
        text.push_str(&format!("{letters} superseded: a copy was delivered meanwhile\n"));
    }
    if done.tally.interrupted {
        text.push_str("interrupted; what is left can be replayed again\n");
    }
    for problem in &done.report.problems {
        text.push_str(&format!("  {problem}\n"));
    }
    out(text)?;
    Ok(exit)
}

/// Says what would be replayed and what would be refused.
fn try_out(looked: &Look, order: &Order<'_>) -> Result<Exit, Failure> {
    let config = replay::the_pipe(&looked.configs, Some(&order.pipe))?;
    replay::sinks(config, order.asked.to_sink.as_deref())?;
    let mut filter = order.asked.filter.letters(std::slice::from_ref(&order.pipe));
    filter.consumers = vec![order.pipe.clone()];
    let (mut count, mut refused) = (0, 0);
    let skipped = looked.each(&filter, |store, found| {
        match admit(&found, store.replays_max, order.asked.edited) {
            Ok(()) => count += 1,
            Err(why) => {
                refused += 1;
                if refused <= PROBLEMS_MAX {
                    eprintln!("{why}");
                }
            }
        }
        Ok(true)
    })?;
    if order.json {
        let done = json!({
            "dry_run": true, "letters": count, "refused": refused, "skipped": skipped,
        });
        out(format!("{done}\n"))?;
    } else {
        let letters = show::counted(count, "letter");
        let not = if refused > 0 { format!(", {refused} refused") } else { String::new() };
        out(format!("{letters} would be replayed{not}\n"))?;
    }
    Ok(if refused + skipped > 0 { Exit::Failed } else { Exit::Ok })
}
