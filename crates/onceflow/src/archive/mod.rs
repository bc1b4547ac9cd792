//! Archives: what is in them, whether it is whole, and their events once more.

mod job;
mod options;
mod show;

use std::path::Path;
use std::sync::Arc;

use connect::archive::read::{Archive, ArchiveError, Range};
use journal::Disk;
use pipe::config::PipeConfig;

use crate::exit::{Exit, Failure};
pub(crate) use job::{count, job};
pub(crate) use options::{Asked, ReplayArgs, Where};
pub(crate) use show::{Listed, Summary, listed, summary_text, table};

/// Looks at the archive of a pipe.
pub(crate) fn open(
    config: &PipeConfig,
    data_dir: &Path,
    disk: Arc<dyn Disk>,
    range: Range,
) -> Result<Archive, Failure> {
    let Some(folder) = config.archive_folder(data_dir) else {
        let pipe = &config.pipe;
        let line = config.line;
        let file = config.file.display();
        return Err(Failure::usage(format!(
            "pipe `{pipe}` keeps no archive: give it one with `archive: {{}}` ({file}:{line})"
        )));
    };
    Archive::open(disk, &folder, &config.pipe, range).map_err(|error| {
        let exit = match error {
            ArchiveError::Missing(_) => Exit::DataDir,
            ArchiveError::Newer { .. } | ArchiveError::Io { .. } => Exit::Failed,
        };
        let help = match error {
            ArchiveError::Missing(_) => "; run the pipe first",
            _ => "",
        };
        Failure::new(exit, format!("{error}{help}"))
    })
}
