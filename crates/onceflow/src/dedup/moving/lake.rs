//! Keys out of lakes: sidecars of finished staging files, columns of the table.

use std::path::{Path, PathBuf};

use dedup::scope::{CommittedKey, KeyState};
use journal::Disk;
use lake::keys::{LakeKeys, LakeKeysError, LakeScopeSecret, RowKey};
use serde::{Deserialize, Serialize};

use super::taker::Taker;
use crate::exit::{Exit, Failure};

/// What was found in a lake, for the statement of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LakeSeen {
    pub(crate) lake: PathBuf,
    /// The ledger that it belonged to.
    pub(crate) ledger: String,
    pub(crate) sidecars: usize,
    pub(crate) parts: usize,
    pub(crate) unfinished: Vec<PathBuf>,
    /// It belongs to this data folder's ledger now.
    pub(crate) taken_over: bool,
}

/// The scopes of all lakes whose keys are wanted; those of one name must have one secret.
pub(super) fn scopes(
    disk: &dyn Disk,
    lakes: &[PathBuf],
    wanted: Option<&str>,
) -> Result<Vec<LakeScopeSecret>, Failure> {
    let mut all: Vec<LakeScopeSecret> = Vec::new();
    for root in lakes {
        for scope in LakeKeys::new(disk, root).owner().map_err(failure)?.scopes {
            match all.iter().find(|known| known.name == scope.name) {
                Some(known) if known.secret != scope.secret => {
                    let what = format!(
                        "the keys of scope {} in {} have another secret than in another of these \
                         lakes: import them one by one, into scopes of different names",
                        scope.name,
                        root.display()
                    );
                    return Err(Failure::new(Exit::Failed, what));
                }
                Some(_) => {}
                None => all.push(scope),
            }
        }
    }
    let names: Vec<String> = all.iter().map(|scope| scope.name.clone()).collect();
    all.retain(|scope| wanted.is_none_or(|wanted| scope.name == wanted));
    if all.is_empty() {
        let there = if names.is_empty() { "none".into() } else { names.join(", ") };
        return Err(Failure::usage(format!(
            "no keys of scope `{}` in these lakes; scopes that have some: {there}",
            wanted.unwrap_or_default()
        )));
    }
    Ok(all)
}

/// Hands all keys of a lake over.
pub(super) fn read(
    disk: &dyn Disk,
    root: &Path,
    taker: &mut Taker<'_>,
) -> Result<LakeSeen, Failure> {
    let keys = LakeKeys::new(disk, root);
    let owner = keys.owner().map_err(failure)?;
    let files = keys.files().map_err(failure)?;
    for path in &files.sidecars {
        let mut failed = None;
        let read = keys.sidecar(path, &mut |rows| take(rows, path, taker, &mut failed));
        ended(read, failed, taker)?;
    }
    for path in &files.parts {
        let mut failed = None;
        let read = keys.part(path, &mut |rows| take(rows, path, taker, &mut failed));
        ended(read, failed, taker)?;
    }
    Ok(LakeSeen {
        lake: root.into(),
        ledger: owner.ledger,
        sidecars: files.sidecars.len(),
        parts: files.parts.len(),
        unfinished: files.unfinished,
        taken_over: false,
    })
}

fn take(
    rows: &[RowKey],
    path: &Path,
    taker: &mut Taker<'_>,
    failed: &mut Option<Failure>,
) -> Result<(), String> {
    for row in rows {
        let key = CommittedKey {
            key: row.key,
            recorded_ms: row.recorded_ms,
            window_ms: row.window_ms,
            // A lake doesn't keep it.
            body_hash: 0,
            state: KeyState::Delivered,
            by: Default::default(),
        };
        if let Err(failure) = taker.take(key, || path.display().to_string()) {
            *failed = Some(failure);
            return Err(String::new());
        }
    }
    Ok(())
}

fn ended(
    read: Result<(), LakeKeysError>,
    failed: Option<Failure>,
    taker: &Taker<'_>,
) -> Result<(), Failure> {
    match (read, failed) {
        (_, Some(failure)) => Err(failure),
        (Err(error), None) => Err(taker.failed(error.to_string())),
        (Ok(()), None) => Ok(()),
    }
}

pub(super) fn failure(error: LakeKeysError) -> Failure {
    Failure::new(Exit::Failed, error)
}
