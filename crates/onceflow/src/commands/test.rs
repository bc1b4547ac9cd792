//! `test`: tries the `tests:` of pipes, with nothing on disk.

use std::path::PathBuf;

use console::show;
use event::Outcome;
use pipe::config::{PipeConfig, PipeTest};
use pipe::engine::PipeError;
use pipe::trial::{self, Difference, Step, Trial, TriedEvent};
use serde_json::{Value, json};

use super::load;
use crate::exit::{Exit, Failure};
use crate::print::out;

/// Characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 400;
/// Fields of a changed event that are named.
const FIELDS_SHOWN_MAX: usize = 10;
/// Rejected events of a failed test that are listed.
const REJECTED_SHOWN_MAX: usize = 20;

/// A test that was tried.
struct Tried<'a> {
    test: &'a PipeTest,
    trial: Result<Trial, PipeError>,
}

impl Tried<'_> {
    fn passed(&self) -> bool {
        self.trial.as_ref().is_ok_and(Trial::passed)
    }
}

pub(crate) fn test(pipes: &[PathBuf], as_json: bool) -> Result<Exit, Failure> {
    let configs = load(pipes)?;
    let tried: Vec<(&PipeConfig, Vec<Tried<'_>>)> = configs
        .iter()
        .map(|config| {
            let tests = config.tests.iter();
            let tried = tests.map(|test| Tried { test, trial: trial::run(config, test) });
            (config, tried.collect())
        })
        .collect();
    let all = || tried.iter().flat_map(|(_, tests)| tests);
    let passed = all().filter(|tried| tried.passed()).count() as u64;
    let failed = all().count() as u64 - passed;
    out(if as_json { json(&tried, passed, failed) } else { text(&tried, passed, failed) })?;
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

/// For people: a line a test, and what differs.
fn text(tried: &[(&PipeConfig, Vec<Tried<'_>>)], passed: u64, failed: u64) -> String {
    let mut text = String::new();
    for (config, tests) in tried {
        if tests.is_empty() {
            text.push_str(&format!("{}: no tests; `tests:` takes some\n", config.pipe));
            continue;
        }
        text.push_str(&format!("{}:\n", config.pipe));
        for tried in tests {
            if tried.passed() {
                text.push_str(&format!("  ok      {}\n", tried.test.name));
                continue;
            }
            text.push_str(&format!(
                "  FAILED  {} ({}:{})\n",
                tried.test.name,
                config.file.display(),
                tried.test.line
            ));
            match &tried.trial {
                Ok(trial) => failed_text(trial, &mut text),
                Err(error) => text.push_str(&format!("    the pipe can't run: {error}\n")),
            }
        }
    }
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {} FAILED", show::count(failed)),
    };
    text.push_str(&format!("{} passed{failed}\n", show::counted(passed, "test")));
    text
}

fn failed_text(trial: &Trial, text: &mut String) {
    for difference in &trial.differences {
        match difference {
            Difference::Delivered(steps) => {
                text.push_str("    delivered, - expected, + came:\n");
                steps.iter().for_each(|step| step_text(step, text));
            }
            Difference::Outcome { outcome, expected, got } => {
                text.push_str(&format!("    {outcome}: {expected} expected, {got} came\n"));
            }
        }
    }
    let outcomes: Vec<String> = trial
        .events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.outcome != Some(Outcome::Delivered))
        .take(REJECTED_SHOWN_MAX)
        .map(|(index, event)| format!("    given {}: {}\n", index + 1, fate(event)))
        .collect();
    text.push_str(&outcomes.concat());
}

fn fate(event: &TriedEvent) -> String {
    let outcome = event.outcome.map_or("unsettled", Outcome::name);
    let payload = cut(&String::from_utf8_lossy(&event.payload));
    match &event.reason {
        Some(reason) => format!("{outcome} ({reason}): {payload}"),
        None => format!("{outcome}: {payload}"),
    }
}

fn step_text(step: &Step, text: &mut String) {
    let mut line = |sign: char, value: &Value| {
        text.push_str(&format!("      {sign} {}\n", cut(&value.to_string())));
    };
    match step {
        Step::Same(value) => line(' ', value),
        Step::Missing(value) => line('-', value),
        Step::Extra(value) => line('+', value),
        Step::Changed(expected, came) => {
            line('-', expected);
            line('+', came);
            let mut fields = Vec::new();
            changed("$", expected, came, &mut fields);
            let shown = fields.len().min(FIELDS_SHOWN_MAX);
            for field in fields.iter().take(shown) {
                text.push_str(&format!("          {field}\n"));
            }
            if fields.len() > shown {
                text.push_str(&format!("          and {} more\n", fields.len() - shown));
            }
        }
    }
}

/// The fields in which two values differ.
fn changed(path: &str, expected: &Value, came: &Value, fields: &mut Vec<String>) {
    match (expected, came) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, expected) in a {
                let path = format!("{path}.{name}");
                match b.get(name) {
                    Some(came) => changed(&path, expected, came, fields),
                    None => fields.push(format!("{path} is missing")),
                }
            }
            let extra = b.iter().filter(|(name, _)| !a.contains_key(*name));
            for (name, came) in extra {
                fields.push(format!("{path}.{name}: {} wasn't expected", cut(&came.to_string())));
            }
        }
        _ if trial::same(expected, came) => {}
        _ => {
            let (expected, came) = (cut(&expected.to_string()), cut(&came.to_string()));
            fields.push(format!("{path}: {expected} expected, {came} came"));
        }
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// For scripts.
fn json(tried: &[(&PipeConfig, Vec<Tried<'_>>)], passed: u64, failed: u64) -> String {
    let pipes: Vec<Value> = tried
        .iter()
        .map(|(config, tests)| {
            let tests: Vec<Value> = tests.iter().map(test_json).collect();
            json!({ "pipe": config.pipe, "file": config.file, "tests": tests })
        })
        .collect();
    let whole = json!({ "version": 1, "passed": passed, "failed": failed, "pipes": pipes });
    format!("{whole:#}\n")
}

fn test_json(tried: &Tried<'_>) -> Value {
    let (name, line) = (&tried.test.name, tried.test.line);
    let trial = match &tried.trial {
        Ok(trial) => trial,
        Err(error) => {
            return json!({ "name": name, "line": line, "passed": false, "error": error.to_string() });
        }
    };
    let outcomes: serde_json::Map<String, Value> = Outcome::ALL
        .into_iter()
        .map(|outcome| (outcome.name().to_owned(), trial.count(outcome).into()))
        .collect();
    let events: Vec<Value> = trial.events.iter().map(event_json).collect();
    let delivered: Vec<Value> =
        trial.delivered.iter().map(|payload| trial::value(payload)).collect();
    let differences: Vec<Value> = trial.differences.iter().map(difference_json).collect();
    json!({
        "name": name,
        "line": line,
        "passed": trial.passed(),
        "outcomes": outcomes,
        "given": events,
        "delivered": delivered,
        "differences": differences,
    })
}

fn event_json(event: &TriedEvent) -> Value {
    json!({
        "outcome": event.outcome.map(Outcome::name),
        "type": event.event_type,
        "reason": event.reason,
    })
}

fn difference_json(difference: &Difference) -> Value {
    match difference {
        Difference::Outcome { outcome, expected, got } => {
            json!({ "outcome": outcome.name(), "expected": expected, "came": got })
        }
        Difference::Delivered(steps) => {
            let steps: Vec<Value> = steps
                .iter()
                .map(|step| match step {
                    Step::Same(value) => json!({ "same": value }),
                    Step::Missing(value) => json!({ "missing": value }),
                    Step::Extra(value) => json!({ "extra": value }),
                    Step::Changed(expected, came) => json!({ "expected": expected, "came": came }),
                })
                .collect();
            json!({ "delivered": steps })
        }
    }
}
