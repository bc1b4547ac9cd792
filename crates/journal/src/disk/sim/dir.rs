//! A simulated folder: its entries as seen, as durable, and the changes between the two.

use std::collections::BTreeMap;

use super::rng::{Keep, Rng};

/// Number of a file or folder; names lead to it.
pub(super) type Ino = u64;

type Entries = BTreeMap<String, Ino>;

#[derive(Clone)]
enum DirOp {
    Add { name: String, ino: Ino },
    Remove { name: String, ino: Ino },
    Rename { from: String, to: String, ino: Ino },
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) live: Entries,
    pub(super) durable: Entries,
    pending: Vec<DirOp>,
}

impl DirNode {
    pub(super) fn add(&mut self, name: &str, ino: Ino) {
        self.change(DirOp::Add { name: name.into(), ino });
    }

    pub(super) fn remove(&mut self, name: &str, ino: Ino) {
        self.change(DirOp::Remove { name: name.into(), ino });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, ino: Ino) {
        self.change(DirOp::Rename { from: from.into(), to: to.into(), ino });
    }

    fn change(&mut self, op: DirOp) {
        apply(&mut self.live, &op);
        self.pending.push(op);
    }

    pub(super) fn sync(&mut self) {
        for op in self.pending.drain(..) {
            apply(&mut self.durable, &op);
        }
    }

    /// The folder after a loss of power.
    pub(super) fn after_power_loss(&self, keep: Keep, rng: &mut Rng) -> Self {
        let entries = self.survivor(keep, rng);
        Self { live: entries.clone(), durable: entries, pending: Vec::new() }
    }

    /// Any subset of the changes. One that builds on a change that was lost is lost with it.
    fn survivor(&self, keep: Keep, rng: &mut Rng) -> Entries {
        let mut entries = self.durable.clone();
        for op in &self.pending {
            if keep.one(rng) {
                apply(&mut entries, op);
            }
        }
        entries
    }

    /// Every file or folder that one of the views, or a crash, may lead to.
    pub(super) fn reachable(&self) -> impl Iterator<Item = Ino> {
        let pending = self.pending.iter().map(|op| match op {
            DirOp::Add { ino, .. } | DirOp::Remove { ino, .. } | DirOp::Rename { ino, .. } => *ino,
        });
        self.live.values().chain(self.durable.values()).copied().chain(pending)
    }
}

fn apply(entries: &mut Entries, op: &DirOp) {
    match op {
        DirOp::Add { name, ino } => {
            entries.insert(name.clone(), *ino);
        }
        DirOp::Remove { name, ino } => {
            if entries.get(name) == Some(ino) {
                entries.remove(name);
            }
        }
        DirOp::Rename { from, to, ino } => {
            if entries.get(from) == Some(ino) {
                entries.remove(from);
                entries.insert(to.clone(), *ino);
            }
        }
    }
}
