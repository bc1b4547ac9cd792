//! `schema` and `config-docs`: what the config's table says, for editors and for docs/config.md.

use crate::exit::{Exit, Failure};
use crate::print::out;

pub(crate) fn schema() -> Result<Exit, Failure> {
    let schema = pipe::config::schema();
    out(format!("{schema:#}\n"))
}

pub(crate) fn docs() -> Result<Exit, Failure> {
    out(pipe::config::docs_markdown())
}
