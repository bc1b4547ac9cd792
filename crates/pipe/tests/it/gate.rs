//! A sink that waits until the test lets a batch through, or makes it fail.

use crossbeam_channel::{Receiver, Sender, unbounded};
use event::sink::{Guarantee, Rows, Sink, SinkError, SinkState, Staged, StagedOutput};

/// What the sink does with the next batch of rows.
pub(crate) enum Verdict {
    Take,
    Fail,
}

/// The test's end: `reached` tells that a batch arrived, `verdicts` says what becomes of it. When
/// `verdicts` is dropped, everything is taken.
pub(crate) struct Gate {
    pub(crate) reached: Receiver<usize>,
    pub(crate) verdicts: Sender<Verdict>,
}

pub(crate) struct GateSink {
    reached: Sender<usize>,
    verdicts: Receiver<Verdict>,
}

pub(crate) fn gate() -> (Gate, Box<dyn Sink>) {
    let (reached_sender, reached) = unbounded();
    let (verdicts, verdict_receiver) = unbounded();
    let sink = GateSink { reached: reached_sender, verdicts: verdict_receiver };
    (Gate { reached, verdicts }, Box::new(sink))
}

impl Sink for GateSink {
    fn name(&self) -> &str {
        "gate"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        let _ = self.reached.send(rows.events.len());
        match self.verdicts.recv() {
            Ok(Verdict::Fail) => Err(SinkError::Io {
                action: "deliver to",
                what: "the gate".into(),
                error: std::io::Error::other("the test says no"),
            }),
            Ok(Verdict::Take) | Err(_) => Ok(Staged::nothing()),
        }
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}
