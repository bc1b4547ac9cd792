//! Writing one batch's rows to every outlet that stages, side by side where that is worth it.

use event::sink::{Rows, Sink, SinkError, Staged};

use super::Decided;
use super::outlet::Takes;

/// An outlet with so many rows is written on a thread of its own beside the others.
const ROWS_SIDE_BY_SIDE_MIN: usize = 1024;

/// An outlet that stages.
pub(super) struct StagedOutlet {
    /// Its place among all outlets.
    pub(super) index: usize,
    pub(super) takes: Takes,
    /// Which store takes the letters of events that it refuses.
    pub(super) letters: u8,
    pub(super) sink: Box<dyn Sink>,
}

/// What each outlet said, in order.
pub(super) type Answers = Vec<Result<Staged, SinkError>>;

/// Stages `rows` of each outlet. With `side_by_side`, outlets with many rows work at the same
/// time; else one after the other, and after an error the rest isn't tried.
pub(super) fn stage_all(
    outlets: &mut [StagedOutlet],
    rows: &[Vec<u32>],
    decided: &Decided,
    now_ms: i64,
    side_by_side: bool,
) -> Answers {
    let many = |rows: &&Vec<u32>| rows.len() >= ROWS_SIDE_BY_SIDE_MIN;
    if !side_by_side || rows.iter().filter(many).count() < 2 {
        let mut answers = Answers::new();
        for (outlet, rows) in outlets.iter_mut().zip(rows) {
            let answer = outlet.stage(rows, decided, now_ms);
            let failed = answer.is_err();
            answers.push(answer);
            if failed {
                break;
            }
        }
        return answers;
    }
    std::thread::scope(|scope| {
        let mut own_thread_is_free = true;
        let mut begun = Vec::with_capacity(outlets.len());
        let mut here = None;
        for (place, (outlet, rows)) in outlets.iter_mut().zip(rows).enumerate() {
            let is_large = rows.len() >= ROWS_SIDE_BY_SIDE_MIN;
            if is_large && own_thread_is_free {
                // The first large one keeps this thread busy, once the others are begun.
                own_thread_is_free = false;
                here = Some((place, outlet, rows));
                begun.push(None);
            } else if is_large {
                begun.push(Some(Begun::There(
                    scope.spawn(move || outlet.stage(rows, decided, now_ms)),
                )));
            } else {
                begun.push(Some(Begun::Done(outlet.stage(rows, decided, now_ms))));
            }
        }
        if let Some((place, outlet, rows)) = here
            && let Some(slot) = begun.get_mut(place)
        {
            *slot = Some(Begun::Done(outlet.stage(rows, decided, now_ms)));
        }
        begun.into_iter().flatten().map(Begun::wait).collect()
    })
}

enum Begun<'s> {
    Done(Result<Staged, SinkError>),
    There(std::thread::ScopedJoinHandle<'s, Result<Staged, SinkError>>),
}

impl Begun<'_> {
    fn wait(self) -> Result<Staged, SinkError> {
        match self {
            Self::Done(answer) => answer,
            Self::There(thread) => match thread.join() {
                Ok(answer) => answer,
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    }
}

impl StagedOutlet {
    /// Stages rows, and finishes files where it is time for that.
    fn stage(
        &mut self,
        events: &[u32],
        decided: &Decided,
        now_ms: i64,
    ) -> Result<Staged, SinkError> {
        let mut staged = Staged::nothing();
        if !events.is_empty() {
            let rows = Rows { batch: &decided.batch, number: decided.number, events, now_ms };
            staged = self.sink.stage(&rows)?;
        }
        if decided.last || decided.batch.events.is_empty() {
            match self.sink.finish(decided.number, now_ms, decided.last) {
                Ok(finished) => {
                    staged.output.files.extend(finished.output.files);
                    staged.output.note.extend(finished.output.note);
                    staged.pending.extend(finished.pending);
                }
                Err(error) => {
                    for one in staged.pending {
                        let _ = one();
                    }
                    self.sink.withdraw(&staged.output)?;
                    return Err(error);
                }
            }
        }
        Ok(staged)
    }
}
