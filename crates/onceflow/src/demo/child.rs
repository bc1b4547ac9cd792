//! This program, run as a process of its own.

use std::process::{Command, Stdio};

use super::folder::Folder;
use crate::exit::{Exit, Failure};

/// What could not be run, and why.
pub(super) fn cannot(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot run onceflow: {error}"))
}

/// This program in the demo's folder.
pub(super) fn command(folder: &Folder, words: &[&str]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command
        .current_dir(folder.path())
        .args(words)
        .env_remove("ONCEFLOW_DATA_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(command)
}

/// Makes the tables.
pub(super) fn compact(folder: &Folder) -> Result<(), Failure> {
    let ended = command(folder, &["compact", "demo.yaml"])?.output().map_err(cannot)?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    Err(Failure::new(
        Exit::Failed,
        format!("onceflow compact ended with {}:\n{said}", ended.status),
    ))
}
