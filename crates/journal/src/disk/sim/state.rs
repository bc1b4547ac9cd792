//! The simulated disk's state: its tree, what was called, and what is to go wrong when.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::Fault;
use super::dir::{DirNode, Ino};
use super::file::FileNode;
use super::rng::{Keep, Rng};
use crate::disk::SyncPoint;

const ROOT: Ino = 0;

/// What every call says once the disk has crashed.
#[derive(Debug)]
pub(super) struct Crashed;

impl fmt::Display for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated disk has crashed")
    }
}

impl Error for Crashed {}

pub(super) fn crashed() -> io::Error {
    io::Error::other(Crashed)
}

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// How an operation goes.
pub(super) enum Step {
    Done,
    /// The disk crashes in it: it may be done in part, and nobody hears of it.
    Crash,
    Fail(Fault),
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) rng: Rng,
    nodes: BTreeMap<Ino, Node>,
    next_ino: Ino,
    /// Numbers the changes of files, so that a sync knows what came after it.
    pub(super) change: u64,
    pub(super) capacity: u64,
    /// How often something did not fit.
    pub(super) no_space_answers: u64,
    pub(super) ops: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: bool,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) skipped: BTreeSet<SyncPoint>,
    pub(super) seen: BTreeMap<SyncPoint, u64>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next_ino: ROOT + 1,
            change: 0,
            capacity: u64::MAX,
            no_space_answers: 0,
            ops: 0,
            crash_at: None,
            crashed: false,
            faults: BTreeMap::new(),
            skipped: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Counts an operation that changes or syncs, and says how it goes.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        self.check_alive()?;
        if self.crash_at.is_some_and(|op| op <= self.ops) {
            self.crashed = true;
            return Ok(Step::Crash);
        }
        let fault = self.faults.remove(&self.ops);
        self.ops += 1;
        Ok(fault.map_or(Step::Done, Step::Fail))
    }

    /// [`State::step`] of an operation that is done whole or not at all.
    pub(super) fn step_atomic(&mut self, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        match self.step()? {
            Step::Done => {
                change(self);
                Ok(())
            }
            Step::Crash => {
                if self.rng.coin() {
                    change(self);
                }
                Err(crashed())
            }
            Step::Fail(fault) => Err(fault.error()),
        }
    }

    pub(super) fn check_alive(&self) -> io::Result<()> {
        if self.crashed { Err(crashed()) } else { Ok(()) }
    }

    pub(super) fn next_change(&mut self) -> u64 {
        self.change += 1;
        self.change
    }

    pub(super) fn insert(&mut self, node: Node) -> Ino {
        let ino = self.next_ino;
        self.next_ino += 1;
        self.nodes.insert(ino, node);
        ino
    }

    pub(super) fn node(&self, ino: Ino) -> io::Result<&Node> {
        self.nodes.get(&ino).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn file(&mut self, ino: Ino) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn dir(&mut self, ino: Ino) -> io::Result<&mut DirNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What a path leads to. Relative paths begin at the root.
    pub(super) fn find(&self, path: &Path) -> io::Result<Ino> {
        let mut ino = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    let Node::Dir(dir) = self.node(ino)? else {
                        return Err(io::ErrorKind::NotADirectory.into());
                    };
                    let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
                    ino = *dir.live.get(name).ok_or(io::ErrorKind::NotFound)?;
                }
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::ErrorKind::InvalidFilename.into());
                }
            }
        }
        Ok(ino)
    }

    /// The folder that holds, or would hold, `path`, and the name in it.
    pub(super) fn find_parent<'a>(&self, path: &'a Path) -> io::Result<(Ino, &'a str)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(io::ErrorKind::InvalidFilename)?;
        let parent = self.find(path.parent().unwrap_or_else(|| Path::new("/")))?;
        match self.node(parent)? {
            Node::Dir(_) => Ok((parent, name)),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Every file that a path leads to, in order of the paths.
    pub(super) fn files(&self) -> Vec<(PathBuf, &FileNode)> {
        let mut files = Vec::new();
        let mut todo = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, ino)) = todo.pop() {
            match self.nodes.get(&ino) {
                Some(Node::File(file)) => files.push((path, file)),
                Some(Node::Dir(dir)) => {
                    todo.extend(dir.live.iter().rev().map(|(name, ino)| (path.join(name), *ino)));
                }
                None => {}
            }
        }
        files
    }

    /// Room that is left.
    pub(super) fn room(&self) -> u64 {
        if self.capacity == u64::MAX {
            return u64::MAX;
        }
        let used = self.files().iter().map(|(_, file)| file.allocated).sum();
        self.capacity.saturating_sub(used)
    }

    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let everywhere = match rng.up_to(3) {
            0 => Some(Keep::Nothing),
            1 => Some(Keep::All),
            _ => None,
        };
        let mut nodes = BTreeMap::new();
        for (ino, node) in &self.nodes {
            let keep = everywhere.unwrap_or_else(|| Keep::choose(&mut rng));
            let node = match node {
                Node::File(file) => Node::File(file.after_power_loss(keep, &mut rng)),
                Node::Dir(dir) => Node::Dir(dir.after_power_loss(keep, &mut rng)),
            };
            nodes.insert(*ino, node);
        }
        self.restarted(nodes, rng)
    }

    pub(super) fn after_process_kill(&self) -> Self {
        let mut rng = self.rng.clone();
        let seed = rng.next();
        self.restarted(self.nodes.clone(), Rng::new(seed))
    }

    fn restarted(&self, nodes: BTreeMap<Ino, Node>, rng: Rng) -> Self {
        let mut state = Self {
            rng,
            nodes,
            ops: 0,
            crash_at: None,
            crashed: false,
            faults: BTreeMap::new(),
            skipped: self.skipped.clone(),
            seen: self.seen.clone(),
            ..*self
        };
        state.forget_unreachable();
        state
    }

    fn forget_unreachable(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut todo = vec![ROOT];
        while let Some(ino) = todo.pop() {
            if let Some(Node::Dir(dir)) = self.nodes.get(&ino) {
                todo.extend(dir.reachable().filter(|ino| reached.insert(*ino)));
            }
        }
        self.nodes.retain(|ino, _| reached.contains(ino));
    }
}
