//! Writing to standard output, where a reader may go away at any time.

use std::fmt::Display;
use std::io::{self, Write};

use crate::exit::{Exit, Failure};

/// Prints; a reader that has gone away (`| head`) is a good end.
pub(crate) fn out(text: impl Display) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    written(write!(stdout, "{text}").and_then(|()| stdout.flush()))
}

/// What a write to standard output came to.
pub(crate) fn written(result: io::Result<()>) -> Result<Exit, Failure> {
    match result {
        Ok(()) => Ok(Exit::Ok),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => {
            Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")))
        }
    }
}
