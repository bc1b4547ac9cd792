//! Which life goes wrong how: every operation of a round in order, for each sort of fault, then
//! operations at random.

use super::chance::Chance;
use super::child::Wrong;

/// Operations past the recorded ones that are tried, too, in hundredths: no two rounds are alike.
const BEYOND_PERCENT: u64 = 25;
/// Operations for which a full disk is full, at most.
const FULL_OPS_MAX: u64 = 12;

/// How a life goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing does.
    Calm,
    /// Power is lost in this operation.
    PowerLoss(u64),
    /// The process is killed in this operation.
    KillAt(u64),
    /// The process is killed at a random time.
    KillAnytime,
    /// This operation fails; on a simulated disk, with what a failed sync may lose there, or not.
    Io(u64, bool),
    /// From this operation on the disk is full for a while.
    Full(u64, u64),
    /// The clock jumps, and later the process is killed.
    ClockJump,
    /// Half of the calls of sinks fail.
    Calls,
}

impl Shape {
    /// What the child does wrong, and in which operation.
    pub(super) fn wrong(self) -> Option<(u64, Wrong)> {
        match self {
            Shape::PowerLoss(op) => Some((op, Wrong::PowerLoss)),
            Shape::KillAt(op) => Some((op, Wrong::Kill)),
            Shape::Io(op, _) => Some((op, Wrong::Io)),
            Shape::Full(op, ops) => Some((op, Wrong::NoSpace(ops))),
            Shape::Calm | Shape::KillAnytime | Shape::ClockJump | Shape::Calls => None,
        }
    }

    /// Whether its disk is simulated.
    pub(super) fn is_simulated(self) -> bool {
        matches!(self, Shape::PowerLoss(_) | Shape::Io(_, true))
    }
}

/// The sorts of lives in turn. A third of the kills are losses of power.
const TURN: [u8; 11] = *b"PKIPRiPFKCS";

/// Goes through it.
#[derive(Debug)]
pub(super) struct Schedule {
    chance: Chance,
    turn: usize,
    /// The next operation to visit, by sort: of a first life, and of a later one.
    next: [[u64; 2]; 5],
    /// Operations of a round, of a first life and of a later one.
    ops: [u64; 2],
    calls: bool,
    /// No I/O errors: they stop the pipes, and a breakage needs pipes that run.
    no_io_errors: bool,
}

impl Schedule {
    pub(super) fn new(seed: u64, calls: bool) -> Schedule {
        Schedule {
            chance: Chance::new(seed),
            turn: 0,
            next: [[0; 2]; 5],
            ops: [0; 2],
            calls,
            no_io_errors: false,
        }
    }

    /// From now on nothing fails; processes end and clocks jump.
    pub(super) fn no_io_errors(&mut self) {
        self.no_io_errors = true;
    }

    /// A calm life had so many operations.
    pub(super) fn recorded(&mut self, first: bool, ops: u64) {
        if let Some(known) = self.ops.get_mut(usize::from(!first)) {
            *known = ops.max(*known);
        }
    }

    /// Whether a calm life has to say first how many operations there are.
    pub(super) fn must_record(&self, first: bool) -> bool {
        self.ops.get(usize::from(!first)).is_none_or(|ops| *ops == 0)
    }

    /// Operations of a round, of a first life and of a later one; and how many sorts of faults
    /// have visited all of the later one.
    pub(super) fn visited(&self) -> ([u64; 2], usize) {
        let [_, later] = self.ops;
        let all = self.next.iter().filter(|[_, next]| later > 0 && *next >= later).count();
        (self.ops, all)
    }

    /// How the next life goes wrong.
    pub(super) fn next(&mut self, first: bool) -> Shape {
        let sort = TURN.get(self.turn % TURN.len()).copied().unwrap_or(b'P');
        self.turn += 1;
        match sort {
            b'P' => Shape::PowerLoss(self.op(0, first)),
            b'K' => Shape::KillAt(self.op(1, first)),
            b'I' | b'i' | b'F' if self.no_io_errors => Shape::ClockJump,
            b'I' => Shape::Io(self.op(2, first), true),
            b'i' => Shape::Io(self.op(3, first), false),
            b'F' => Shape::Full(self.op(4, first), 1 + self.chance.below(FULL_OPS_MAX)),
            b'C' => Shape::ClockJump,
            b'S' if self.calls => Shape::Calls,
            _ => Shape::KillAnytime,
        }
    }

    fn op(&mut self, sort: usize, first: bool) -> u64 {
        let of = usize::from(!first);
        let ops = self.ops.get(of).copied().unwrap_or(0);
        let Some(next) = self.next.get_mut(sort).and_then(|next| next.get_mut(of)) else {
            return 0;
        };
        let op = *next;
        *next += 1;
        if op >= ops {
            return self.chance.below(ops + ops * BEYOND_PERCENT / 100);
        }
        // Each once, but not in order: a short proof sees the end of a round as well as its start.
        op * stride(ops) % ops
    }
}

/// A step that visits each of `ops` once before it comes round, and is about 0.6 of them.
fn stride(ops: u64) -> u64 {
    let common = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (ops * 618 / 1000..=ops).find(|step| common(*step, ops) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_visited_by_every_sort_of_fault() {
        let mut schedule = Schedule::new(1, true);
        schedule.recorded(true, 3);
        schedule.recorded(false, 7);
        let mut seen = BTreeSet::new();
        let mut calls = 0;
        for _ in 0..TURN.len() * 7 {
            let shape = schedule.next(false);
            calls += u64::from(shape == Shape::Calls);
            match shape {
                Shape::PowerLoss(op) => drop(seen.insert((0, op))),
                Shape::KillAt(op) => drop(seen.insert((1, op))),
                Shape::Io(op, true) => drop(seen.insert((2, op))),
                Shape::Io(op, false) => drop(seen.insert((3, op))),
                Shape::Full(op, _) => drop(seen.insert((4, op))),
                _ => {}
            }
        }
        for sort in 0..5 {
            for op in 0..7 {
                assert!(seen.contains(&(sort, op)), "operation {op} of sort {sort}");
            }
        }
        assert!(calls > 0, "calls fail, too");
        assert_eq!(schedule.visited(), ([3, 7], 5));
    }
}
