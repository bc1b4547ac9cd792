//! Dead letters as messages of an embedded queue, through a spool like any other sink's.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use event::batch::Span;
use event::sink::{
    Guarantee, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use event::{Batch, BatchNumber, Event};
use journal::Disk;
use serde_json::json;

use super::id::show_id;
use super::letter::{Letter, LetterContext, letters_of};
use super::name::LetterName;
use crate::file::sink::refuse_spilled;
use crate::spool::{SpoolOptions, SpoolSink, Target};

/// Sends the dead events of each batch to a queue.
pub struct DeadQueue {
    spool: SpoolSink,
    target: Arc<dyn Target>,
    identity: SinkIdentity,
    letters: u8,
    context: Arc<LetterContext>,
    /// The store that has the whole letter.
    store: String,
}

impl DeadQueue {
    /// A queue that has touched nothing yet. `store` is the folder of the [`super::DeadStore`] that
    /// gets the same letters: a message that would be too large points there.
    #[must_use]
    pub fn new(
        spool: SpoolOptions,
        store: &Path,
        letters: u8,
        context: Arc<LetterContext>,
        identity: SinkIdentity,
        target: Arc<dyn Target>,
        disk: Arc<dyn Disk>,
    ) -> Self {
        Self {
            spool: SpoolSink::new(spool, identity.clone(), Arc::clone(&target), disk),
            target,
            identity,
            letters,
            context,
            store: store.display().to_string(),
        }
    }

    /// The message of a letter: the letter, or where it is.
    fn message(&self, letter: &Letter) -> Vec<u8> {
        let whole = letter.encode_line();
        if whole.len() <= self.target.row_bytes_max() {
            return whole;
        }
        let pointer = json!({
            "onceflow_letter_at": show_id(letter.id),
            "store": self.store,
            "store_path": LetterName::of(letter).path(),
        });
        pointer.to_string().into_bytes()
    }
}

impl Sink for DeadQueue {
    fn name(&self) -> &str {
        self.spool.name()
    }

    fn guarantee(&self) -> Guarantee {
        self.spool.guarantee()
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        self.spool.open(state)
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        refuse_spilled(rows)?;
        let mut buffer = Vec::new();
        let mut events = Vec::new();
        let SinkIdentity { pipe, ledger_id, .. } = &self.identity;
        for letter in letters_of(rows, self.letters, pipe, *ledger_id, &self.context) {
            let message = self.message(&letter);
            let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
            buffer.extend(message);
            events.push(Event { raw: Span { start, len }, ..Event::default() });
        }
        if events.is_empty() {
            return Ok(Staged::nothing());
        }
        let all: Vec<u32> = (0..).take(events.len()).collect();
        let batch = Batch { buffer: Bytes::from(buffer), events, ..Batch::default() };
        let rows = Rows { batch: &batch, number: rows.number, events: &all, now_ms: rows.now_ms };
        self.spool.stage(&rows)
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        self.spool.withdraw(output)
    }

    fn finish(&mut self, number: BatchNumber, now_ms: i64, all: bool) -> Result<Staged, SinkError> {
        self.spool.finish(number, now_ms, all)
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        self.spool.publisher()
    }
}
