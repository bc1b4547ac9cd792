//! Waiting in the stage step: for room on the disk, or for a sink that is down.

use std::collections::VecDeque;
use std::sync::Arc;

use event::Clock;

use super::Decided;
use super::leaving::Leaving;
use crate::status::DeliveryStatus;

/// How often a pipe that waits looks whether another one waits for its keys; naps.
const NAPS_BETWEEN_LOOKS: u32 = 5;

/// What a step does while it has to wait.
pub trait Patience {
    /// Waits a moment, some 20 ms. `false`: give up.
    fn nap(&mut self) -> bool;

    /// Whether the pipe is to end, however much is still to do.
    fn is_over(&self) -> bool;

    /// The batches that are decided and wait for this step; newly decided ones are in it, too.
    fn queue(&mut self) -> Option<&mut VecDeque<Decided>>;
}

/// Nobody else can change anything meanwhile: for pipes in one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPatience;

impl Patience for NoPatience {
    fn nap(&mut self) -> bool {
        false
    }

    fn is_over(&self) -> bool {
        false
    }

    fn queue(&mut self) -> Option<&mut VecDeque<Decided>> {
        None
    }
}

/// A pause of the pipe, in which keys that it has reserved and not staged are given up as soon as
/// another pipe waits for one (DESIGN §3 "Waiting").
pub(super) struct Pause<'a> {
    pub(super) leaving: &'a mut Leaving,
    pub(super) status: &'a DeliveryStatus,
    pub(super) clock: &'a Arc<dyn Clock>,
    /// Somebody else has said already why it waits.
    pub(super) is_said: bool,
}

impl Pause<'_> {
    /// Waits until `go`; whether it came to that.
    pub(super) fn wait(
        &mut self,
        decided: &mut Decided,
        patience: &mut dyn Patience,
        why: &str,
        go: &mut dyn FnMut() -> bool,
    ) -> bool {
        let mut naps = 0;
        let mut said = false;
        loop {
            if go() {
                if said {
                    self.status.go_on();
                }
                return true;
            }
            if !said {
                if !self.is_said {
                    tracing::warn!(reason = why, "paused");
                }
                self.status.pause(why, self.clock.now_ms());
                said = true;
            }
            if naps % NAPS_BETWEEN_LOOKS == 0 {
                self.leaving.yield_awaited(decided);
                for queued in patience.queue().into_iter().flatten() {
                    self.leaving.yield_awaited(queued);
                }
            }
            naps += 1;
            if !patience.nap() {
                return false;
            }
        }
    }
}
