//! Compares what came out with what must have, and the ledger with both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use dedup::ledger::read_only;
use dedup::state::LedgerState;
use event::Outcome;
use journal::RealDisk;
use pipe::config::PipeConfig;

use super::dead::Kept;
use super::model::{Model, One, Sent};
use super::outputs::Row;
use super::place::Place;
use super::redirect::{Output, Redirected};
use crate::exit::{Exit, Failure};

/// What is wrong; all empty when nothing is.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Acknowledged events that came to nothing; numbers of [`Model::all`].
    pub(super) lost: Vec<usize>,
    /// Rows that are there too often: output and what it is.
    pub(super) twice: Vec<String>,
    /// Where counts differ.
    pub(super) imbalance: Vec<String>,
    /// Rows that nobody sent, files that can't be read.
    pub(super) strange: Vec<String>,
}

impl Found {
    pub(super) fn is_nothing(&self) -> bool {
        self.lost.is_empty()
            && self.twice.is_empty()
            && self.imbalance.is_empty()
            && self.strange.is_empty()
    }
}

/// How a source's counters stood before the first event.
pub(super) type Before = BTreeMap<(String, String), (u64, [u64; 6])>;

/// The ledger's counters, by pipe and source.
pub(super) fn counters(place: &Place) -> Result<(Before, Option<LedgerState>), Failure> {
    let data = place.data();
    if !data.join("ledger").join("journal").is_dir() {
        return Ok((Before::new(), None));
    }
    let state = read_only(&RealDisk::new(), &data).map_err(|error| {
        Failure::new(Exit::DataDir, format!("the ledger of the proof: {error}"))
    })?;
    let mut before = Before::new();
    for source in &state.sources {
        let pipe = state.pipes.get(usize::from(source.pipe));
        let pipe = pipe.map_or_else(String::new, |pipe| pipe.name.clone());
        let total = source.total();
        before.insert((pipe, source.name.clone()), (total.received, total.outcomes));
    }
    Ok((before, Some(state)))
}

/// What is to be compared.
pub(super) struct Check<'a> {
    pub(super) model: &'a mut Model,
    pub(super) redirected: &'a Redirected,
    pub(super) rows: Vec<Vec<Row>>,
    pub(super) kept: Kept,
    pub(super) before: &'a Before,
    pub(super) place: &'a Place,
    /// The state was copied: rows of events that lay in it may come, too.
    pub(super) is_copy: bool,
}

/// Where each pipe's rejected events lie.
pub(super) fn rejected_files(configs: &[PipeConfig], data: &Path) -> Vec<PathBuf> {
    let file = |config: &PipeConfig| match &config.rejected.path {
        Some(path) => path.clone(),
        None => data.join("rejected").join(format!("{}.ndjson", config.pipe)),
    };
    configs.iter().map(file).collect()
}

impl Check<'_> {
    pub(super) fn check(mut self) -> Result<Found, Failure> {
        let mut found =
            Found { strange: std::mem::take(&mut self.kept.broken), ..Found::default() };
        let counts = self.count_rows(&mut found);
        let copies = self.copies();
        for (is, one) in self.model.all.iter().enumerate() {
            let copies = copies.get(&is).map(Vec::as_slice).unwrap_or_default();
            self.check_one((is, one), copies, &counts, &mut found);
        }
        self.check_ledger(&counts, &mut found)?;
        Ok(found)
    }

    /// How often each event is in each output.
    fn count_rows(&mut self, found: &mut Found) -> HashMap<(usize, usize), u64> {
        let mut counts = HashMap::new();
        let mut by_key: HashMap<&str, usize> = HashMap::new();
        for (is, one) in self.model.all.iter().enumerate() {
            by_key.insert(&one.name, is);
        }
        for (output, rows) in self.rows.iter().enumerate() {
            let mut unknown: HashMap<String, u64> = HashMap::new();
            for row in rows {
                let is = self.model.by_row.get(row).copied().or_else(|| {
                    // A transform may make a row that isn't the same each time.
                    let value = serde_json::from_slice(row).ok()?;
                    let key = self.model.keys.iter().find_map(|keys| keys.key_of(&value))?;
                    by_key.get(key.as_str()).copied()
                });
                match is {
                    Some(is) => *counts.entry((output, is)).or_default() += 1,
                    None => {
                        *unknown.entry(String::from_utf8_lossy(row).into_owned()).or_default() += 1;
                    }
                }
            }
            let name = self.redirected.outputs.get(output).map_or("", |output| &output.name);
            for (row, count) in unknown {
                if !self.is_copy || serde_json::from_str::<serde_json::Value>(&row).is_err() {
                    found.strange.push(format!("{name}: nobody sent this row: {}", shown(&row)));
                } else if count > 1 {
                    found.twice.push(format!("{name}: {count} times: {}", shown(&row)));
                }
            }
        }
        counts
    }

    fn copies(&self) -> HashMap<usize, Vec<&Sent>> {
        let mut copies: HashMap<usize, Vec<&Sent>> = HashMap::new();
        for sent in &self.model.sent {
            copies.entry(sent.is).or_default().push(sent);
        }
        copies
    }

    fn check_one(
        &self,
        (is, one): (usize, &One),
        copies: &[&Sent],
        counts: &HashMap<(usize, usize), u64>,
        found: &mut Found,
    ) {
        let outcome = |sent: &Sent| one.by_pipe.get(&sent.pipe).and_then(|fate| fate.outcome);
        let times = |of: &dyn Fn(&Sent) -> bool| {
            let of: Vec<u32> = copies.iter().filter(|it| of(it)).map(|it| it.era).collect();
            let different: BTreeSet<u32> = of.iter().copied().collect();
            (if one.every_copy { of.len() } else { different.len() }) as u64
        };
        let delivers = |sent: &Sent| outcome(sent) == Some(Outcome::Delivered);
        let needed = times(&|sent| delivers(sent) && sent.acked);
        let allowed = times(&|sent| delivers(sent));
        let kept = |by: &HashMap<Vec<u8>, u64>| {
            copies.iter().filter_map(|it| by.get(&it.payload)).max().copied().unwrap_or(0)
        };
        let (rejected, dead) = (kept(&self.kept.rejected), kept(&self.kept.dead));
        let outputs: BTreeSet<usize> =
            one.by_pipe.values().flat_map(|fate| fate.outputs.iter().copied()).collect();
        let count = |output: usize| counts.get(&(output, is)).copied().unwrap_or(0);
        for (number, output) in self.redirected.outputs.iter().enumerate() {
            let allowed = if outputs.contains(&number) { allowed } else { 0 };
            if count(number) > allowed && !output.at_least_once {
                let name = &output.name;
                let times = count(number);
                found.twice.push(format!("{name}: {times} times: {}", shown(&one.name)));
            }
        }
        // What a pipe of the proof reads again is looked for at the end of the way.
        let is_in = |output: &usize| {
            self.redirected.outputs.get(*output).is_none_or(|it| it.is_read)
                || count(*output) + rejected + dead >= needed
        };
        let mut ways = one.by_pipe.values().filter(|fate| !fate.outputs.is_empty());
        if needed > 0 && !ways.any(|fate| fate.outputs.iter().all(is_in)) {
            found.lost.push(is);
        }
        let rejects = |sent: &&&Sent| outcome(sent) == Some(Outcome::Rejected);
        let to_reject = copies.iter().filter(|it| it.acked).filter(rejects).count() as u64;
        if to_reject > rejected && one.every_copy {
            found.lost.push(is);
        }
    }

    fn check_ledger(
        &self,
        counts: &HashMap<(usize, usize), u64>,
        found: &mut Found,
    ) -> Result<(), Failure> {
        let (now, state) = match counters(self.place) {
            Ok(counted) => counted,
            Err(failure) => {
                // What a crash left is no ledger any more: that is what a proof looks for.
                found.strange.push(failure.message);
                return Ok(());
            }
        };
        let Some(state) = state else { return Ok(()) };
        found.imbalance.extend(state.imbalance().iter().map(|it| format!("{it:?}")));
        for source in state.sources.iter().filter(|source| !source.in_flight.is_empty()) {
            found.imbalance.push(format!(
                "{}: {:?} still in flight at the end",
                source.name, source.in_flight
            ));
        }
        // An event that died at one sink may be in the others.
        let mut delivered: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (number, config) in self.redirected.configs.iter().enumerate() {
            let of = now.iter().filter(|((pipe, _), _)| *pipe == config.pipe);
            let mut settled = 0;
            for (source, (_, outcomes)) in of {
                let before = self.before.get(source).map_or([0; 6], |(_, before)| *before);
                let more = |outcome: Outcome| {
                    let at = |all: &[u64; 6]| all.get(outcome.index()).copied().unwrap_or(0);
                    at(outcomes).saturating_sub(at(&before))
                };
                let all = Outcome::ALL.into_iter().filter(|it| *it != Outcome::Returned);
                settled += all.map(more).sum::<u64>();
                let (of, dead) = delivered.entry(&config.pipe).or_default();
                *of += more(Outcome::Delivered);
                *dead += more(Outcome::Dead);
            }
            let sent: Vec<&Sent> =
                self.model.sent.iter().filter(|sent| sent.pipe == number).collect();
            let acked = sent.iter().filter(|sent| sent.acked).count() as u64;
            if settled < acked {
                found.imbalance.push(format!(
                    "{}: {acked} events were acknowledged, and {settled} are accounted for",
                    config.pipe
                ));
            }
        }
        self.check_delivered(&delivered, counts, found);
        Ok(())
    }

    /// Rows of an output are what its pipes count as delivered. Where an event may go to some
    /// sinks only, or may come twice by its sink's own word, there is nothing to compare.
    fn check_delivered(
        &self,
        delivered: &BTreeMap<&str, (u64, u64)>,
        counts: &HashMap<(usize, usize), u64>,
        found: &mut Found,
    ) {
        for (number, output) in self.redirected.outputs.iter().enumerate() {
            let Output { is_read, at_least_once, name, .. } = output;
            let pipes = || {
                let of = self.redirected.configs.iter().zip(&self.redirected.of_pipe);
                of.filter(|(_, outputs)| outputs.contains(&number))
            };
            let routed = pipes().any(|(config, outputs)| {
                config.sinks.iter().any(|sink| sink.matches.is_some())
                    || config.route.first
                    || config.route.default.is_some()
                    || outputs.iter().filter(|output| **output == number).count() > 1
            });
            if *is_read || *at_least_once || routed || self.is_copy {
                continue;
            }
            let of = || pipes().filter_map(|(it, _)| delivered.get(&*it.pipe));
            let said: u64 = of().map(|(delivered, _)| delivered).sum();
            let dead: u64 = of().map(|(_, dead)| dead).sum();
            let rows: u64 =
                counts.iter().filter(|((of, _), _)| *of == number).map(|(_, count)| count).sum();
            if !(said..=said + dead).contains(&rows) {
                found.imbalance.push(format!(
                    "{name}: the ledger says {said} delivered, and there are {rows} rows"
                ));
            }
        }
    }
}

/// The beginning of a row or key.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
