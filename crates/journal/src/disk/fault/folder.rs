//! Real folders into a simulated disk, and back.
#![allow(clippy::disallowed_methods)] // copies whole folders; nothing durable rests on it

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::disk::sim::SimDisk;
use crate::disk::{Disk, SyncPoint};

/// Of the copies: nobody takes this sync away.
const LOADED: SyncPoint = SyncPoint("disk.loaded");
/// Bytes looked at in one piece.
const PIECE_BYTES: usize = 4096;

/// Copies a real folder into a simulated disk, at the same path, as durable as can be. What isn't a
/// regular file or a folder, and what `skip` names, is left out.
///
/// # Errors
/// What the system says.
pub fn load(sim: &SimDisk, dir: &Path, skip: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    let mut above = std::path::PathBuf::from("/");
    for level in dir.components().skip(1) {
        let path = above.join(level);
        if sim.stat(&path)?.is_none() {
            sim.mkdir(&path)?;
            sim.sync_dir(&above, LOADED)?;
        }
        above = path;
    }
    load_entries(sim, dir, skip)
}

fn load_entries(sim: &SimDisk, dir: &Path, skip: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if skip(&path) {
            continue;
        }
        if kind.is_dir() {
            sim.mkdir(&path)?;
            load_entries(sim, &path, skip)?;
        } else if kind.is_file() {
            load_file(sim, &path)?;
        }
    }
    sim.sync_dir(dir, LOADED)
}

fn load_file(sim: &SimDisk, path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let file = sim.create_new(path)?;
    // Not with one write: zeros take no memory then.
    file.preallocate(bytes.len() as u64)?;
    for (piece, at) in bytes.chunks(PIECE_BYTES).zip((0_u64..).step_by(PIECE_BYTES)) {
        if piece.iter().any(|byte| *byte != 0) {
            file.write_at(at, piece)?;
        }
    }
    file.sync(LOADED)
}

/// Makes a real folder hold what the simulated disk has at that path, and nothing else but what
/// `skip` names.
///
/// # Errors
/// What the system says.
pub fn save(sim: &SimDisk, dir: &Path, skip: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    if sim.stat(dir)?.is_none() {
        return clear(dir, skip);
    }
    fs::create_dir_all(dir)?;
    let entries = sim.list(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let known = entries.iter().find(|entry| Some(entry.name.as_str()) == name);
        match known {
            _ if skip(&path) => {}
            Some(entry) if entry.is_dir == path.is_dir() => {}
            _ if path.is_dir() => fs::remove_dir_all(&path)?,
            _ => fs::remove_file(&path)?,
        }
    }
    for entry in entries {
        let path = dir.join(&entry.name);
        if skip(&path) {
            continue;
        }
        if entry.is_dir {
            save(sim, &path, skip)?;
        } else {
            save_file(sim, &path)?;
        }
    }
    Ok(())
}

fn clear(dir: &Path, skip: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        match () {
            () if skip(&path) => {}
            () if path.is_dir() => fs::remove_dir_all(&path)?,
            () => fs::remove_file(&path)?,
        }
    }
    Ok(())
}

fn save_file(sim: &SimDisk, path: &Path) -> io::Result<()> {
    let bytes = sim.read_file(path).ok_or(io::ErrorKind::NotFound)?;
    let unchanged = |file: &File| -> io::Result<bool> {
        Ok(file.metadata()?.len() == bytes.len() as u64 && fs::read(path)? == bytes)
    };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    if unchanged(&file)? {
        return Ok(());
    }
    file.set_len(0)?;
    file.set_len(bytes.len() as u64)?;
    for (piece, at) in bytes.chunks(PIECE_BYTES).zip((0_u64..).step_by(PIECE_BYTES)) {
        if piece.iter().any(|byte| *byte != 0) {
            file.write_all_at(piece, at)?;
        }
    }
    Ok(())
}
