//! A pipe's own tests, and its alarms.

use std::time::Duration;

use event::Outcome;
use serde_json::Value as Json;

use super::pattern;
use super::problem::Problems;
use super::section::{Checked, Section, Value};
use super::source::is_address;
use super::unit;

/// One test of a pipe.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeTest {
    /// What it shows, or its number.
    pub name: String,
    /// The line of the config where it stands, from 1.
    pub line: usize,
    /// What comes in.
    pub given: Vec<Given>,
    /// What is delivered; `None`: not compared.
    pub expect: Option<Vec<Json>>,
    /// How many events end so.
    pub outcomes: Vec<(Outcome, u64)>,
}

/// What comes in, or passes, in a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// An event with this payload.
    Event(Vec<u8>),
    /// Time.
    Wait(Duration),
}

/// When to raise an alarm, and who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmsConfig {
    /// An `http` or `https` address.
    pub webhook: Option<String>,
    /// How far behind its source the pipe may be; 1 s to 30 d.
    pub lag_max: Duration,
    /// Rejected events of an hour, before they are an alarm.
    pub rejected_max: u64,
}

/// Builds `tests`.
pub(crate) fn tests(pipe: &Section, problems: &mut Problems<'_>) -> Option<Vec<PipeTest>> {
    if pipe.entry("tests").is_none() {
        return Some(Vec::new());
    }
    let mut tests = Vec::new();
    let mut complete = true;
    for (index, item) in pipe.list("tests")?.iter().enumerate() {
        let Value::Section(section) = &item.value else { return None };
        match test(index, section, item, problems) {
            Some(test) => tests.push(test),
            None => complete = false,
        }
    }
    complete.then_some(tests)
}

fn test(
    index: usize,
    section: &Section,
    item: &Checked,
    problems: &mut Problems<'_>,
) -> Option<PipeTest> {
    let name = match section.entry("name") {
        Some(_) => section.text("name")?.to_owned(),
        None => format!("test {}", index + 1),
    };
    let mut given = Vec::new();
    for step in section.list("given")? {
        given.push(one_given(step, problems)?);
    }
    let expect = match section.entry("expect") {
        Some(_) => {
            let values = section.list("expect")?;
            Some(values.iter().map(|value| json(value, problems)).collect::<Option<Vec<_>>>()?)
        }
        None => None,
    };
    let mut outcomes = Vec::new();
    if section.entry("outcomes").is_some() {
        let named = section.section("outcomes")?;
        for outcome in Outcome::ALL {
            if named.table.key(outcome.name()).is_some() && named.entry(outcome.name()).is_some() {
                outcomes.push((outcome, named.count(outcome.name())?));
            }
        }
    }
    if expect.is_none() && outcomes.is_empty() {
        problems
            .add(item.place, "this test compares nothing")
            .help("add `expect: [ … ]`, or `outcomes: { delivered: 1 }`");
        return None;
    }
    Some(PipeTest { name, line: item.place.line, given, expect, outcomes })
}

fn json(checked: &Checked, problems: &mut Problems<'_>) -> Option<Json> {
    let Value::Node(node) = &checked.value else { return None };
    match pattern::json(node) {
        Ok(json) => Some(json),
        Err(found) => {
            for (place, message, help) in found {
                problems.add(place, message).help(help);
            }
            None
        }
    }
}

fn one_given(step: &Checked, problems: &mut Problems<'_>) -> Option<Given> {
    let value = json(step, problems)?;
    match &value {
        Json::String(text) => return Some(Given::Event(text.as_bytes().to_vec())),
        Json::Object(map) if map.len() == 1 => {
            if let Some(wait) = map.get("$wait") {
                let duration = wait.as_str().and_then(|text| unit::duration(text).ok());
                if let Some(duration) = duration {
                    return Some(Given::Wait(duration));
                }
                problems
                    .add(step.place, format!("`$wait: {wait}` is no length of time"))
                    .help("write it like `{ $wait: 5m }`");
                return None;
            }
        }
        _ => {}
    }
    Some(Given::Event(value.to_string().into_bytes()))
}

/// Builds `alarms`.
pub(crate) fn alarms(pipe: &Section, problems: &mut Problems<'_>) -> Option<AlarmsConfig> {
    let section = pipe.section("alarms")?;
    let webhook = match section.entry("webhook") {
        Some(_) => {
            let text = section.text("webhook")?;
            if !is_address(text) {
                problems
                    .add(section.place_of("webhook"), format!("`{text}` is no address"))
                    .help("write it like `http://127.0.0.1:9000/alarm`");
                return None;
            }
            Some(text.to_owned())
        }
        None => None,
    };
    Some(AlarmsConfig {
        webhook,
        lag_max: section.duration("lag_max")?,
        rejected_max: section.count("rejected_max")?,
    })
}
