//! `generate`: reads the description, opens the output, hands over to [`crate::generate`].

use std::io;
use std::path::Path;

use crate::command::Output;
use crate::exit::{Exit, Failure};
use crate::generate::{self, Amount};
use crate::print::written;

pub(crate) fn generate(config: &Path, amount: Amount, out: &Output) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(config)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", config.display())))?;
    let spec = generate::load(config, &text).map_err(Failure::usage)?;
    match out {
        Output::Stdout => {
            let result = generate::generate(&spec, amount, &mut io::stdout().lock());
            written(result.map(drop))
        }
        Output::File(path) => {
            let mut options = std::fs::OpenOptions::new();
            let cannot = |error: io::Error| {
                Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
            };
            let mut file =
                options.write(true).create(true).truncate(true).open(path).map_err(cannot)?;
            generate::generate(&spec, amount, &mut file).map_err(cannot)?;
            Ok(Exit::Ok)
        }
    }
}
