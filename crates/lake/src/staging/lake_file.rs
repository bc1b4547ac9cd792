//! `_onceflow/lake.json`: whose lake this is, and the scopes whose keys are in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use event::LedgerId;
use event::sink::{SinkError, SinkIdentity};
use journal::{Disk, SyncPoint};
use serde::{Deserialize, Serialize};

use super::names::Place;
use super::publish::{io, remove};

/// Version of the lake's layout that this code writes.
const FORMAT: u32 = 1;

/// Sinks of several pipes may open one lake at the same time, each on a thread of its own; the
/// data folder's lock keeps other processes away.
static CLAIMING: Mutex<()> = Mutex::new(());

/// The content of `lake.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LakeFile {
    format: u32,
    /// The ledger's id, in hex.
    ledger: String,
    scopes: BTreeMap<String, LakeScope>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LakeScope {
    /// In hex.
    secret: String,
    definition: String,
}

/// The only field that every version has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl LakeFile {
    /// Makes the lake this ledger's and notes the sink's scope, or says why it can't be.
    pub(super) fn claim(
        disk: &dyn Disk,
        place: &Place,
        identity: &SinkIdentity,
    ) -> Result<(), SinkError> {
        let _one_at_a_time = CLAIMING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        let mut lake = Self::read(disk, &place.own_folder())?.unwrap_or_else(|| {
            changed = true;
            let ledger = identity.ledger_id.to_string();
            Self { format: FORMAT, ledger, scopes: BTreeMap::new() }
        });
        if lake.ledger != identity.ledger_id.to_string() {
            return Err(other_ledger(place, &lake.ledger, identity));
        }
        if let Some(scope) = &identity.scope {
            let secret = scope.secret.iter().map(|byte| format!("{byte:02x}")).collect();
            let ours = LakeScope { secret, definition: scope.definition.clone() };
            match lake.scopes.get(&scope.scope) {
                Some(known) if known.secret != ours.secret => {
                    return Err(other_secret(place, &scope.scope));
                }
                Some(known) if *known == ours => {}
                _ => {
                    lake.scopes.insert(scope.scope.clone(), ours);
                    changed = true;
                }
            }
        }
        if changed {
            lake.write(disk, &place.own_folder())?;
        }
        // Also when nothing changed: whoever wrote it may have been killed before the sync.
        let folder = place.own_folder();
        disk.sync_dir(&folder, SyncPoint("staging.lake_file_name"))
            .map_err(|error| io("sync", &folder, error))
    }

    fn read(disk: &dyn Disk, own_folder: &Path) -> Result<Option<Self>, SinkError> {
        let path = own_folder.join("lake.json");
        let file = match disk.open_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("open", &path, error)),
        };
        let refused = |error| io("read", &path, error);
        let len = file.len().map_err(refused)?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        journal::disk::read_full_at(file.as_ref(), 0, &mut bytes).map_err(refused)?;
        let damaged = |error: serde_json::Error| SinkError::Foreign {
            what: format!("{} can't be understood: {error}", path.display()),
            help: "Restore it from a copy, or give the sink another folder".into(),
        };
        let AnyFormat { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if format != FORMAT {
            let path = path.display();
            return Err(SinkError::Foreign {
                what: format!("{path} has format {format}, this program knows {FORMAT}"),
                help: "Use the version that wrote it, or give the sink another folder".into(),
            });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    fn write(&self, disk: &dyn Disk, own_folder: &Path) -> Result<(), SinkError> {
        let path = own_folder.join("lake.json");
        let tmp = own_folder.join("lake.json.tmp");
        remove(disk, &tmp)?;
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| io("write", &path, std::io::Error::other(error)))?;
        bytes.push(b'\n');
        let file = disk.create_new(&tmp).map_err(|error| io("create", &tmp, error))?;
        file.write_at(0, &bytes).map_err(|error| io("write", &tmp, error))?;
        file.sync(SyncPoint("staging.lake_file")).map_err(|error| io("sync", &tmp, error))?;
        disk.rename(&tmp, &path).map_err(|error| io("rename", &tmp, error))
    }
}

/// Whose lake it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeOwner {
    /// The ledger's id, in hex.
    pub ledger: String,
    /// The scopes whose keys are in it.
    pub scopes: Vec<LakeScopeSecret>,
}

/// What the keys of a scope in a lake are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct LakeScopeSecret {
    /// The scope's name.
    pub name: String,
    /// What its keys are hashed with.
    pub secret: [u8; 16],
    /// Number of fields, encoding and `across_types`, as text.
    pub definition: String,
}

impl std::fmt::Debug for LakeScopeSecret {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeScopeSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whose lake `root` is; `None` where there is none.
pub(crate) fn owner(disk: &dyn Disk, root: &Path) -> Result<Option<LakeOwner>, SinkError> {
    let Some(lake) = LakeFile::read(disk, &root.join("_onceflow"))? else { return Ok(None) };
    let scopes = lake.scopes.into_iter().map(|(name, scope)| {
        let secret = u128::from_str_radix(&scope.secret, 16).unwrap_or_default().to_be_bytes();
        LakeScopeSecret { name, secret, definition: scope.definition }
    });
    Ok(Some(LakeOwner { ledger: lake.ledger, scopes: scopes.collect() }))
}

/// Makes the lake that of another ledger, durably.
pub(crate) fn take_over(disk: &dyn Disk, root: &Path, ledger: LedgerId) -> Result<(), SinkError> {
    let _one_at_a_time = CLAIMING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = root.join("_onceflow");
    let Some(mut lake) = LakeFile::read(disk, &folder)? else { return Ok(()) };
    let ledger = ledger.to_string();
    if lake.ledger != ledger {
        lake.ledger = ledger;
        lake.write(disk, &folder)?;
    }
    // Also when nothing changed: whoever wrote it may have been killed before the sync.
    disk.sync_dir(&folder, SyncPoint("staging.lake_file_name"))
        .map_err(|error| io("sync", &folder, error))
}

fn other_ledger(place: &Place, found: &str, identity: &SinkIdentity) -> SinkError {
    let (root, ours) = (place.root().display(), identity.ledger_id);
    SinkError::Foreign {
        what: format!("the lake {root} belongs to ledger {found}, this data folder is {ours}"),
        help:
            "Run with the data folder that the lake belongs to, or give the sink another folder. \
               If that data folder is lost, rebuild its keys from the lake: `onceflow dedup import \
               --from-lake DIR --take-over`"
                .into(),
    }
}

fn other_secret(place: &Place, scope: &str) -> SinkError {
    let root = place.root().display();
    SinkError::Foreign {
        what: format!("the keys of scope {scope:?} in the lake {root} have another secret"),
        help: "Its keys can't be compared with this data folder's: run with the data folder that \
               they come from, name the scope differently, or give the sink another folder"
            .into(),
    }
}
