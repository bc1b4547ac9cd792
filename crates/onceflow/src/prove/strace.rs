//! The same from outside: strace lets a sync of a run fail, and the run must stop (P7).

use std::path::Path;
use std::process::{Command, Stdio};

use super::place::Place;
use crate::exit::{Exit, Failure};

/// A pipe of its own: a run of a file that ends by itself.
const PIPE: &str = "pipe: strace\nsource: { file: { path: in.ndjson } }\n\
                    dedup: { key: $.id, window: 10m }\nsink: { file: { path: out.ndjson } }\n";
/// Which `fdatasync` of a thread fails; each is tried.
const WHEN: [u32; 3] = [1, 2, 3];

fn cannot(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot run strace: {error}"))
}

/// Lets an `fdatasync` of a run fail with `EIO`, where strace is there: the run must say so and end
/// with the exit code of storage that failed. What was seen, or why nothing was.
pub(super) fn cross_check() -> Result<String, Failure> {
    let mut there = Command::new("strace");
    there.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !there.status().is_ok_and(|status| status.success()) {
        return Ok("skipped: strace isn't installed".to_owned());
    }
    let place = Place::new(false, u64::MAX - 1)?;
    place.write("pipe.yaml", PIPE.as_bytes())?;
    let events: String = (0..50).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    place.write("in.ndjson", events.as_bytes())?;
    let mut hit = 0;
    for when in WHEN {
        let data = place.root().join(format!("data-{when}"));
        let (code, said) = traced(&place, &data, when)?;
        // A thread that syncs less often meets no fault, and the run ends well.
        if said.contains("INJECTED") {
            hit += 1;
            if code == Some(i32::from(Exit::Ok as u8)) {
                return Err(cannot(format!(
                    "fdatasync {when} failed, and the run went on:\n{said}"
                )));
            }
        }
    }
    match hit {
        0 => Ok("skipped: no fault could be injected".to_owned()),
        _ => Ok(format!("{hit} failed fdatasync, each stopped its run")),
    }
}

fn traced(place: &Place, data: &Path, when: u32) -> Result<(Option<i32>, String), Failure> {
    let program = std::env::current_exe().map_err(cannot)?;
    let inject = format!("inject=fdatasync:error=EIO:when={when}");
    let ended = Command::new("strace")
        .args(["-f", "-e", "trace=fdatasync", "-e", &inject])
        .arg(program)
        .args(["run", "pipe.yaml", "--data-dir"])
        .arg(data)
        .current_dir(place.root())
        .stdin(Stdio::null())
        .output()
        .map_err(cannot)?;
    Ok((ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned()))
}
