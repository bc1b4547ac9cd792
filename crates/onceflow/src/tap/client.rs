//! The watcher's end.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use pipe::tap::TapFilter;

use super::line::Aside;
use super::{Request, socket};
use crate::exit::{Exit, Failure};
use crate::print::written;

/// Prints events as they settle, until the run ends, `limit` events were shown, or nobody reads
/// standard output any more.
pub(crate) fn tap(
    data_dir: &Path,
    filter: &TapFilter,
    limit: Option<u64>,
) -> Result<Exit, Failure> {
    let mut server = socket::connect(data_dir).map_err(|_| {
        Failure::new(
            Exit::DataDir,
            format!(
                "nobody runs pipes in {}: tap shows events while they settle. Start `onceflow run` \
                 in another terminal, or name the data folder with --data-dir",
                data_dir.display()
            ),
        )
    })?;
    let lost =
        |error: io::Error| Failure::new(Exit::Failed, format!("the run doesn't answer: {error}"));
    let mut request =
        serde_json::to_vec(&Request::new(filter)).map_err(|error| lost(error.into()))?;
    request.push(b'\n');
    server.write_all(&request).map_err(lost)?;

    let mut lines = BufReader::new(server);
    let mut stdout = io::stdout().lock();
    let (mut shown, mut dropped, mut text) = (0, 0, Vec::new());
    while limit.is_none_or(|limit| shown < limit) {
        text.clear();
        if lines.read_until(b'\n', &mut text).map_err(lost)? == 0 {
            break;
        }
        if let Ok(aside) = serde_json::from_slice::<Aside>(&text) {
            if let Some(error) = aside.error {
                return Err(Failure::new(Exit::Failed, format!("the run refused: {error}")));
            }
            dropped = aside.dropped.unwrap_or(dropped);
            continue;
        }
        shown += 1;
        if let Err(error) = stdout.write_all(&text).and_then(|()| stdout.flush()) {
            return written(Err(error));
        }
    }
    if dropped > 0 {
        eprintln!("{} not shown: this tap was too slow", console::show::counted(dropped, "event"));
    }
    Ok(Exit::Ok)
}
