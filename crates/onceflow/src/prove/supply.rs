//! Where events come from.

use std::path::Path;

use pipe::config::PipeConfig;

use super::made::Made;
use super::options::Supply;
use crate::exit::{Exit, Failure};
use crate::generate::{self, Amount, Item, Maker, Sort};

/// Keeps the events of a proof apart from those that the same description made before.
const SALT: u64 = 0x70_726f_7665;

/// Gives new events, each with a key of its own (recorded ones have what they have).
pub(super) enum Source {
    Made(Vec<Made>),
    Recorded(Vec<Vec<u8>>),
    Generated(Box<Maker>),
}

impl Source {
    pub(super) fn new(
        supply: &Supply,
        configs: &[PipeConfig],
        seed: u64,
    ) -> Result<Source, Failure> {
        Ok(match supply {
            Supply::Made => Source::Made(
                configs
                    .iter()
                    .map(|config| Made::new(config, format!("prove-{seed}-")))
                    .collect::<Result<_, _>>()?,
            ),
            Supply::Recorded(path) => Source::Recorded(recorded(path)?),
            Supply::Generated(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?;
                let spec = generate::load(path, &text).map_err(Failure::usage)?;
                let amount = Amount { seed: seed ^ SALT, ..Amount::default() };
                Source::Generated(Box::new(Maker::new(&spec, &amount, false, None)))
            }
        })
    }

    /// New event `number`, for a pipe; `None` when there are no more.
    pub(super) fn event(&mut self, number: u64, pipe: usize) -> Option<Vec<u8>> {
        match self {
            Source::Made(made) => made.get(pipe).map(|made| made.event(number)),
            Source::Recorded(events) => {
                usize::try_from(number).ok().and_then(|number| events.get(number)).cloned()
            }
            Source::Generated(maker) => {
                let mut out = Vec::new();
                maker.make(Item { number, sort: Sort::New }, &mut out);
                Some(out)
            }
        }
    }

    /// Whether its events come to an end.
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self, Source::Recorded(_))
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

fn recorded(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| cannot_read(path, &error))?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    if events.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("{} holds no events", path.display())));
    }
    Ok(events)
}
