//! Where the letters of pipes are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::dead::DeadFolder;
use journal::Disk;
use pipe::config::{AfterReplay, DeadLetterConfig, PipeConfig};

/// A folder of letters, and what the config says of it.
pub(crate) struct Store {
    pub(crate) folder: DeadFolder,
    pub(crate) store_bytes_max: u64,
    pub(crate) replays_max: u64,
    pub(crate) after_replay: connect::dead::After,
}

/// The folder of a pipe's letters where its config names none.
pub(crate) fn default_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("dead")
}

/// The folders of a pipe, its sinks' included, each once.
pub(crate) fn of_pipe(config: &PipeConfig, data_dir: &Path, disk: &Arc<dyn Disk>) -> Vec<Store> {
    let mut stores: Vec<Store> = Vec::new();
    let of_sinks = config.sinks.iter().filter_map(|sink| sink.dead_letter.as_ref());
    for letters in std::iter::once(&config.dead_letter).chain(of_sinks) {
        let store = store(letters, data_dir, disk);
        if stores.iter().all(|known| known.folder.root() != store.folder.root()) {
            stores.push(store);
        }
    }
    stores
}

/// The folders of several pipes, each once.
pub(crate) fn of_pipes(
    configs: &[PipeConfig],
    data_dir: &Path,
    disk: &Arc<dyn Disk>,
) -> Vec<Store> {
    let mut stores: Vec<Store> = Vec::new();
    for store in configs.iter().flat_map(|config| of_pipe(config, data_dir, disk)) {
        if stores.iter().all(|known| known.folder.root() != store.folder.root()) {
            stores.push(store);
        }
    }
    stores
}

fn store(letters: &DeadLetterConfig, data_dir: &Path, disk: &Arc<dyn Disk>) -> Store {
    let root = letters.store.clone().unwrap_or_else(|| default_folder(data_dir));
    Store {
        folder: DeadFolder::new(Arc::clone(disk), &root),
        store_bytes_max: letters.store_bytes_max,
        replays_max: letters.replays_max,
        after_replay: match letters.after_replay {
            AfterReplay::Mark => connect::dead::After::Mark,
            AfterReplay::Remove => connect::dead::After::Remove,
        },
    }
}
