//! What must come out: every event by itself goes through the pipe's steps in memory, and naive
//! keys say which are one event. No ledger of the proof is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use event::Outcome;
use pipe::config::{Given, PipeConfig, PipeTest, RouteConfig};
use pipe::stage::filter::Pattern;
use pipe::stage::route::Router;
use pipe::trial;

use super::keys::Keys;
use super::redirect::Redirected;
use crate::exit::{Exit, Failure};

/// Number of an event of a run.
pub(super) type Number = u64;

/// An event that was handed over; each time it is, it is another one.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) pipe: usize,
    pub(super) payload: Vec<u8>,
    /// What it is a copy of, or itself: index into [`Model::all`].
    pub(super) is: usize,
    /// The broker acknowledged it.
    pub(super) acked: bool,
    /// Windows end between eras.
    pub(super) era: u32,
}

/// Copies of one event.
#[derive(Clone, Debug, Default)]
pub(super) struct One {
    /// Its key, or its payload.
    pub(super) name: String,
    /// Copies count one by one: its pipe has no dedup.
    pub(super) every_copy: bool,
    /// What becomes of it, by pipe.
    pub(super) by_pipe: BTreeMap<usize, Fate>,
}

/// What becomes of an event by itself.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    pub(super) outcome: Option<Outcome>,
    /// Outputs that it goes to.
    pub(super) outputs: BTreeSet<usize>,
}

/// What was sent, and what must come of it.
pub(super) struct Model {
    configs: Vec<PipeConfig>,
    routers: Vec<Router>,
    of_pipe: Vec<Vec<usize>>,
    pub(super) keys: Vec<Keys>,
    pub(super) sent: Vec<Sent>,
    pub(super) all: Vec<One>,
    by_name: HashMap<(bool, String), usize>,
    /// By row, as a sink writes it.
    pub(super) by_row: HashMap<Vec<u8>, usize>,
    tried: BTreeSet<(usize, Vec<u8>)>,
}

impl Model {
    pub(super) fn new(redirected: &Redirected) -> Result<Model, Failure> {
        let routers: Result<Vec<Router>, Failure> = redirected.configs.iter().map(router).collect();
        Ok(Model {
            routers: routers?,
            of_pipe: redirected.of_pipe.clone(),
            keys: redirected.configs.iter().map(Keys::new).collect(),
            configs: redirected.configs.clone(),
            sent: Vec::new(),
            all: Vec::new(),
            by_name: HashMap::new(),
            by_row: HashMap::new(),
            tried: BTreeSet::new(),
        })
    }

    /// Notes an event that is about to be sent.
    pub(super) fn send(&mut self, pipe: usize, payload: Vec<u8>, era: u32) -> Number {
        let (key, dedups) = match self.keys.get_mut(pipe) {
            Some(keys) => (keys.key(&payload), keys.dedups()),
            None => (None, false),
        };
        let every_copy = key.is_none();
        let name = key.unwrap_or_else(|| {
            // A copy that is read by a pipe without dedup is another event than that of another.
            let of = if dedups { String::new() } else { format!("pipe {pipe}: ") };
            format!("{of}{}", String::from_utf8_lossy(&payload))
        });
        let is = *self.by_name.entry((every_copy, name.clone())).or_insert_with(|| {
            self.all.push(One { name, every_copy, by_pipe: BTreeMap::new() });
            self.all.len() - 1
        });
        self.sent.push(Sent { pipe, payload, is, acked: false, era });
        (self.sent.len() - 1) as Number
    }

    pub(super) fn ack(&mut self, number: Number) {
        if let Some(sent) = usize::try_from(number).ok().and_then(|at| self.sent.get_mut(at)) {
            sent.acked = true;
        }
    }

    /// Works out what becomes of each event that isn't worked out yet.
    pub(super) fn work_out(&mut self) -> Result<(), Failure> {
        for pipe in 0..self.configs.len() {
            loop {
                // Of one key one body at a time: a trial knows duplicates, too.
                let mut chosen: Vec<(usize, Vec<u8>)> = Vec::new();
                let mut taken = BTreeSet::new();
                for sent in self.sent.iter().filter(|sent| sent.pipe == pipe) {
                    let tried = (pipe, sent.payload.clone());
                    if !self.tried.contains(&tried) && taken.insert(sent.is) {
                        chosen.push((sent.is, sent.payload.clone()));
                    }
                }
                if chosen.is_empty() {
                    break;
                }
                self.try_out(pipe, chosen)?;
            }
        }
        Ok(())
    }

    fn try_out(&mut self, pipe: usize, chosen: Vec<(usize, Vec<u8>)>) -> Result<(), Failure> {
        let (Some(config), Some(router), Some(of_sink)) =
            (self.configs.get(pipe), self.routers.get(pipe), self.of_pipe.get(pipe))
        else {
            return Ok(());
        };
        let given = chosen.iter().map(|(_, payload)| Given::Event(payload.clone())).collect();
        let test = PipeTest {
            name: "what becomes of it".to_owned(),
            line: 0,
            given,
            expect: None,
            outcomes: Vec::new(),
        };
        let tried = trial::run(&with_one_sink(config), &test).map_err(|error| {
            Failure::new(Exit::Failed, format!("pipe {}: {error}", config.pipe))
        })?;
        let mut rows = tried.delivered.into_iter();
        for ((is, payload), event) in chosen.into_iter().zip(tried.events) {
            let mut fate = Fate { outcome: event.outcome, outputs: BTreeSet::new() };
            if event.outcome == Some(Outcome::Delivered)
                && let Some(row) = rows.next()
            {
                let routes = router.route(&row);
                let sinks = of_sink.iter().enumerate().filter(|(n, _)| routes >> n & 1 == 1);
                fate.outputs = sinks.map(|(_, output)| *output).collect();
                if fate.outputs.is_empty() {
                    fate.outcome = Some(Outcome::Filtered);
                } else {
                    self.by_row.insert(row, is);
                }
            }
            if let Some(one) = self.all.get_mut(is) {
                one.by_pipe.insert(pipe, fate);
            }
            self.tried.insert((pipe, payload));
        }
        Ok(())
    }
}

/// Every event goes to the one sink of a trial; where it goes to in the end, its routes say.
fn with_one_sink(config: &PipeConfig) -> PipeConfig {
    let mut config = config.clone();
    config.sinks.truncate(1);
    for sink in &mut config.sinks {
        sink.matches = None;
    }
    config.route = RouteConfig::default();
    config.archive = None;
    config
}

fn router(config: &PipeConfig) -> Result<Router, Failure> {
    let wrong = |error| Failure::usage(format!("pipe {}: match: {error}", config.pipe));
    let patterns: Result<Vec<Option<Pattern>>, Failure> = config
        .sinks
        .iter()
        .map(|sink| sink.matches.as_ref().map(Pattern::compile).transpose().map_err(wrong))
        .collect();
    let default = config.route.default.as_ref();
    let default = default.and_then(|name| config.sinks.iter().position(|sink| sink.name == *name));
    Ok(Router::new(patterns?, config.route.first, default))
}
