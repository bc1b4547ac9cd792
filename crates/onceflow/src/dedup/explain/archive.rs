//! Events of a key in an archive: read from the blocks of those batches that are known to hold them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::archive::read::{Archive, Range};
use dedup::key::KeyMaker;
use dedup::state::ScopeState;
use event::Offset;
use journal::{Disk, RealDisk};
use pipe::config::PipeConfig;

use super::super::simulate::{Beside, Fields, Maker};
use super::ask::check_definition;

/// An event in an archive.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArchivedRow {
    pub(super) root: PathBuf,
    pub(super) source: String,
    pub(super) shard: String,
    pub(super) offset: String,
    pub(super) batch: u64,
    pub(super) received_ms: i64,
    pub(super) body: Vec<u8>,
}

/// What to look for.
pub(super) struct Wanted<'a> {
    pub(super) key: u128,
    pub(super) batches: BTreeSet<u64>,
    /// Places that are known to be those of its events.
    pub(super) places: &'a [(String, Offset)],
    pub(super) scope: &'a ScopeState,
}

/// Finds them in the archive of `pipe`. An event is known by its key where the config says how to
/// make one, else by its place.
pub(super) fn search(
    root: &Path,
    pipe: &str,
    config: Option<&PipeConfig>,
    wanted: &Wanted<'_>,
) -> Result<Vec<ArchivedRow>, String> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let mut archive =
        Archive::open(disk, root, pipe, Range::ALL).map_err(|error| error.to_string())?;
    for file in &mut archive.files {
        file.blocks.retain(|block| wanted.batches.contains(&block.head.batch.0));
    }
    archive.files.retain(|file| !file.blocks.is_empty());
    let mut maker = config.and_then(|config| maker(config, wanted.scope));
    let mut found = Vec::new();
    for archived in archive.read() {
        let origin = &archived.origin;
        let known =
            |(shard, start): &(String, Offset)| *shard == *origin.shard && *start == origin.start;
        let by_place = wanted.places.iter().any(known);
        let mut by_key = || {
            let maker = maker.as_mut()?;
            let beside = Beside { received_ms: 0, ..Beside::NOTHING };
            Some(maker.row(&archived.payload, beside)?.key == wanted.key)
        };
        if by_place || by_key().unwrap_or(false) {
            found.push(ArchivedRow {
                root: root.to_path_buf(),
                source: origin.source.clone(),
                shard: origin.shard.to_string(),
                offset: origin.start.to_string(),
                batch: archived.batch.0,
                received_ms: origin.received_ms,
                body: archived.payload.to_vec(),
            });
        }
    }
    Ok(found)
}

fn maker(config: &PipeConfig, scope: &ScopeState) -> Option<Maker> {
    check_definition(scope, config).ok()?;
    let mut fields = Fields::of(config).ok()?;
    (fields.time, fields.pattern) = (None, None);
    let keys = KeyMaker::new(&scope.secret, fields.across_types, fields.key.len());
    Some(Maker::with_keys(fields, keys))
}
