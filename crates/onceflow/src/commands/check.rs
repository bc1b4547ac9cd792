//! `check`: says everything that is wrong with config files, and what is allowed and probably not
//! meant; touches nothing.

use std::path::PathBuf;

use super::load;
use crate::exit::{Exit, Failure};
use crate::print::out;

pub(crate) fn check(pipes: &[PathBuf]) -> Result<Exit, Failure> {
    let configs = load(pipes)?;
    for warning in configs.iter().flat_map(|config| &config.warnings) {
        out(format!("{warning}\n"))?;
    }
    let names: Vec<_> = configs.iter().map(|config| config.pipe.as_str()).collect();
    out(format!(
        "{}: {}\n",
        console::show::counted(names.len() as u64, "good pipe"),
        names.join(", ")
    ))
}
