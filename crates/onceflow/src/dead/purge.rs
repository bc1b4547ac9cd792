//! Forgetting letters for good.

use connect::dead::{After, LetterName};
use event::source::Stop;
use pipe::Session;

use super::filter::Filter;
use super::stores::{self, Store};
use super::{Answer, Tell};
use crate::exit::{self, Exit, Failure};

/// Letters that are forgotten together.
const TOGETHER: usize = 1_000;

/// Forgets the letters that `filter` takes of `pipes`.
///
/// Of each, first the ledger forgets its key and then its file goes: never is a copy called a
/// duplicate of an event whose body is gone (P3).
pub(crate) fn purge(
    session: &Session,
    pipes: &[String],
    filter: &Filter,
    stop: &Stop,
    tell: Tell<'_>,
) -> Result<(), Failure> {
    let mut purged = 0;
    for pipe in pipes {
        let config = session.configs().iter().find(|config| config.pipe == *pipe);
        let config =
            config.ok_or_else(|| Failure::usage(format!("the run has no pipe `{pipe}`")))?;
        if !filter.consumers.is_empty() && !filter.consumers.contains(pipe) {
            continue;
        }
        for store in stores::of_pipe(config, session.data_dir(), session.disk()) {
            let mut letters = filter.letters(std::slice::from_ref(pipe));
            letters.consumers = vec![pipe.clone()];
            let mut batch = Vec::new();
            for found in store.folder.letters(letters) {
                if stop.asked() {
                    break;
                }
                match found {
                    Ok(found) => batch.push((found.name, found.bytes)),
                    Err(skipped) => {
                        let _ = tell(Answer::Skipped(skipped.path, skipped.why)); // seen at Progress
                    }
                }
                if batch.len() >= TOGETHER {
                    purged += forget(session, pipe, &store, &mut batch)?;
                    if tell(Answer::Progress(purged)).is_err() {
                        return Ok(());
                    }
                }
            }
            purged += forget(session, pipe, &store, &mut batch)?;
        }
    }
    let _ = tell(Answer::Done(purged)); // whoever asked may have gone
    Ok(())
}

fn forget(
    session: &Session,
    pipe: &str,
    store: &Store,
    batch: &mut Vec<(LetterName, u64)>,
) -> Result<u64, Failure> {
    if batch.is_empty() {
        return Ok(0);
    }
    let ids: Vec<u128> = batch.iter().map(|(name, _)| name.id).collect();
    let ledger = session.ledger().remove_letters(pipe, &ids);
    ledger.map_err(|error| Failure::new(exit::ledger(&error), error))?;
    let names = batch.iter().map(|(name, bytes)| (name, *bytes));
    store.folder.settle(names, After::Remove).map_err(|error| {
        let root = store.folder.root().display();
        Failure::new(Exit::Connector, format!("cannot remove letters from {root}: {error}"))
    })?;
    let count = batch.len() as u64;
    batch.clear();
    Ok(count)
}
