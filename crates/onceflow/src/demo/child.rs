//! This program, run as a process of its own, so that it can be killed like one.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use super::folder::Folder;
use crate::exit::{Exit, Failure};
use crate::progress;

/// SIGKILL, which no process can catch.
const SIGKILL: i32 = 9;

/// How a run ended.
pub(super) enum Ended {
    /// In order.
    Done,
    /// By SIGKILL; so many events were settled by then.
    Killed { settled: u64 },
}

/// Runs both pipes; kills the process as soon as `kill_at` events are settled.
pub(super) fn run(folder: &Folder, kill_at: Option<u64>) -> Result<Ended, Failure> {
    let cannot =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot run onceflow: {error}"));
    let mut child = Command::new(std::env::current_exe().map_err(cannot)?)
        .current_dir(folder.path())
        .args(["run", "wikipedia.yaml", "app.yaml", "--progress-lines"])
        .env_remove("ONCEFLOW_DATA_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let mut said = String::new();
    let mut settled = 0;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            match line.strip_prefix(progress::LINE) {
                Some(number) => settled = number.parse().unwrap_or(settled),
                None => said = said + &line + "\n",
            }
            if kill_at.is_some_and(|at| settled >= at) {
                child.kill().map_err(cannot)?;
                break;
            }
        }
    }
    let status = child.wait().map_err(cannot)?;
    if status.success() {
        return Ok(Ended::Done);
    }
    if status.signal() == Some(SIGKILL) {
        return Ok(Ended::Killed { settled });
    }
    Err(Failure::new(Exit::Failed, format!("onceflow run ended with {status}:\n{said}")))
}
