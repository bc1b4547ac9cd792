//! What a proof came to, for people and for scripts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::campaign::USUAL;
use super::options::{Asked, Supply};
use super::plant::Plant;

/// What was done, and what was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proof {
    pub(super) pipes: Vec<String>,
    pub(super) seed: u64,
    pub(super) plant: Option<Plant>,
    pub(super) time: Option<Duration>,
    /// The options that say where events come from.
    pub(super) supply: String,
    pub(super) runs: u64,
    /// Child processes.
    pub(super) lives: u64,
    pub(super) power_losses: u64,
    pub(super) kills_at: u64,
    pub(super) kills_anytime: u64,
    pub(super) io_errors: u64,
    /// Those after which a pipe or the broker stopped (P7).
    pub(super) io_stopped: u64,
    /// Operations whose failure stopped nothing, and how often.
    pub(super) went_on: BTreeMap<String, u64>,
    pub(super) full_disks: u64,
    /// Those after which something stopped instead of waiting.
    pub(super) full_stopped: u64,
    pub(super) clock_jumps: u64,
    pub(super) calls_failed: u64,
    /// Times that all windows ended.
    pub(super) eras: u64,
    /// Operations of a first life, and of a later one.
    pub(super) ops: [u64; 2],
    /// Sorts of faults that visited every one of the later.
    pub(super) sorts_visited: usize,
    pub(super) acknowledged: u64,
    pub(super) lost: u64,
    pub(super) twice: u64,
    pub(super) shadowed: u64,
    pub(super) imbalance: u64,
    /// Rows that nobody sent, files that can't be read.
    pub(super) strange: u64,
    /// The first of what was found.
    pub(super) named: Vec<String>,
    /// What children did that nothing explains.
    pub(super) trouble: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) strace: Option<String>,
    pub(super) seconds: f64,
    /// How long a life takes.
    pub(super) usual: Duration,
}

impl Proof {
    pub(super) fn new(asked: &Asked) -> Proof {
        Proof {
            pipes: asked.pipes.iter().map(|path| path.display().to_string()).collect(),
            seed: asked.seed,
            plant: asked.plant,
            time: asked.time,
            supply: match &asked.supply {
                Supply::Made => String::new(),
                Supply::Recorded(path) => format!(" --events {}", path.display()),
                Supply::Generated(path) => format!(" --generate {}", path.display()),
            },
            usual: USUAL,
            ..Proof::default()
        }
    }

    /// Whether nothing was found.
    pub(crate) fn holds(&self) -> bool {
        [self.lost, self.twice, self.shadowed, self.imbalance, self.strange] == [0; 5]
            && self.trouble.is_empty()
    }

    pub(super) fn kills(&self) -> u64 {
        self.power_losses + self.kills_at + self.kills_anytime
    }

    pub(super) fn faults(&self) -> u64 {
        self.io_errors + self.full_disks
    }

    pub(super) fn time_is_over(&self, began: Instant) -> bool {
        self.time.is_some_and(|time| began.elapsed() >= time)
    }

    pub(super) fn is_over(&self, asked: &Asked, began: Instant) -> bool {
        let counted = self.kills() >= asked.kills && self.faults() >= asked.faults;
        counted || self.time_is_over(began)
    }

    /// How far it is, in one line.
    pub(super) fn line(&self) -> String {
        format!(
            "{} runs, {} kills, {} I/O errors, {} events acknowledged, {:.0} s",
            self.runs,
            self.kills(),
            self.faults(),
            self.acknowledged,
            self.seconds
        )
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, number: u64, what: &str| {
            let line = format!("{name:<14}{number:>9}  {what}");
            text.push_str(line.trim_end());
            text.push('\n');
        };
        let [first, later] = self.ops;
        let visited = format!(
            "a round has {later} operations on the disk, the first one {first}; \
             {} of 5 sorts of faults visited each",
            self.sorts_visited
        );
        row("runs", self.runs, &visited);
        row("lives", self.lives, "child processes");
        let kills = format!(
            "{} losses of power, {} SIGKILL in an operation, {} at a random time",
            self.power_losses, self.kills_at, self.kills_anytime
        );
        row("kills", self.kills(), &kills);
        let faults = format!(
            "{} I/O errors ({} stopped what must not go on), {} times a full disk ({} waited)",
            self.io_errors,
            self.io_stopped,
            self.full_disks,
            self.full_disks - self.full_stopped.min(self.full_disks)
        );
        row("faults", self.faults(), &faults);
        let eras = format!("and {} times all windows ended", self.eras);
        row("clock jumps", self.clock_jumps, &eras);
        row("failed calls", self.calls_failed, "of sinks over HTTP");
        row("acknowledged", self.acknowledged, "events");
        row("lost", self.lost, "");
        row("twice", self.twice, "");
        row("shadowed", self.shadowed, "");
        row("imbalance", self.imbalance, "");
        if self.strange > 0 {
            row("strange", self.strange, "");
        }
        text.push_str(&format!("{:<14}{:>9.1}\n", "seconds", self.seconds));
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        for (operation, times) in &self.went_on {
            text.push_str(&format!("went on after an I/O error: {operation}, {times} times\n"));
        }
        if let Some(strace) = &self.strace {
            text.push_str(&format!("strace: {strace}\n"));
        }
        for found in &self.named {
            text.push_str(&format!("{found}\n"));
        }
        for trouble in &self.trouble {
            text.push_str(&format!("trouble: {trouble}\n"));
        }
        if !self.holds() {
            text.push_str(&format!("again: {}\n", self.again()));
        }
        text
    }

    /// How to repeat it.
    fn again(&self) -> String {
        let plant =
            self.plant.map(|plant| format!(" --plant {}", plant.name())).unwrap_or_default();
        let (pipes, seed) = (self.pipes.join(" "), self.seed);
        format!("onceflow prove {pipes}{} --seed {seed}{plant} --keep", self.supply)
    }

    /// For scripts.
    pub(crate) fn json(&self) -> String {
        let [first, later] = self.ops;
        let value = json!({
            "holds": self.holds(),
            "pipes": self.pipes,
            "seed": self.seed,
            "plant": self.plant.map(Plant::name),
            "runs": self.runs,
            "lives": self.lives,
            "kills": {
                "all": self.kills(),
                "power_loss": self.power_losses,
                "in_an_operation": self.kills_at,
                "at_a_random_time": self.kills_anytime,
            },
            "faults": {
                "all": self.faults(),
                "io_error": self.io_errors,
                "io_error_stopped": self.io_stopped,
                "io_error_went_on": self.went_on,
                "full_disk": self.full_disks,
                "full_disk_stopped": self.full_stopped,
                "failed_calls": self.calls_failed,
                "clock_jumps": self.clock_jumps,
                "eras": self.eras,
            },
            "operations": { "first_round": first, "round": later, "sorts_visited": self.sorts_visited },
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "twice": self.twice,
            "shadowed": self.shadowed,
            "imbalance": self.imbalance,
            "strange": self.strange,
            "named": self.named,
            "trouble": self.trouble,
            "notes": self.notes,
            "strace": self.strace,
            "seconds": self.seconds,
            "again": (!self.holds()).then(|| self.again()),
        });
        format!("{value:#}\n")
    }
}
