//! The protocol with its bounds, and the flaws: each takes away one rule, to see what it is for.

use super::state::Message;

/// A rule of the protocol that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// "SET NX, then deliver": the key is told at once, before anything came of its event.
    SetThenDeliver,
    /// The queue may forget a message before its batch is committed.
    AcknowledgedBeforeTheCommit,
    /// Leases and fencing tokens at the keys, and no batch record to decide.
    FencingAlone,
    /// A key is taken from a batch that stays open.
    TakenWithoutResolvingTheBatch,
    /// The second step of a take-over doesn't name the old holder.
    TakenWithoutNamingTheHolder,
    /// Keys are told that they are committed before their batch is.
    SettledBeforeTheCommit,
    /// A committed batch's record goes while keys rely on it.
    RecordDroppedWhileAKeyNamesIt,
    /// "Duplicate" goes by what the key said before the holder's record was looked at.
    DuplicateByAnOldLook,
    /// A batch commits while the release of an event that left it has no answer.
    CommittedBeforeTheReleaseWasAnswered,
    /// The keys are placed first, the record is opened then.
    RecordOpenedAfterTheKeys,
    /// A batch asks again, for more keys, and so may open its record a second time.
    AskedInSeveralCalls,
    /// An event leaves a batch of which an unanswered `reserve` may still be under way.
    LeftAfterARepeatedCall,
    /// An open or aborted record goes while a call of its batch may still be under way.
    RecordForgottenWhileACallIsUnderWay,
    /// A restarted worker withdraws what it had prepared without asking the store.
    RecoveredWithoutAsking,
    /// A restarted worker takes a batch without a record for a committed one.
    AbsentTakenForCommitted,
}

/// The protocol, and how much of a world it is checked in.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    pub(super) workers: u8,
    pub(super) messages: Vec<Message>,
    /// Batches that a worker may have to do with at one time.
    pub(super) numbers: u8,
    /// Events in a batch at most.
    pub(super) batch_max: u8,
    /// Whether events may leave their batch.
    pub(super) leaves: bool,
    /// Whether open and aborted records may go while their batch's worker still works on it.
    pub(super) sweeps_living: bool,
    /// Whether states that differ by the names of workers and batches alone count as one.
    pub(super) symmetric: bool,
    /// How many keys or records the store loses.
    pub(super) losses: u8,
    /// How many calls get no answer.
    pub(super) delays: u8,
    /// Whether recovery commits what it finds open, instead of aborting it.
    pub(super) resumes: bool,
    /// Whether P1 leaves out a commit that the store forgot before its owner's ledger had it.
    pub(super) forgives: bool,
    pub(super) flaw: Option<Flaw>,
}

impl Protocol {
    /// Two workers and one key, sent twice.
    pub(super) fn small() -> Self {
        Self {
            workers: 2,
            messages: vec![Message { key: 0, era: 0 }, Message { key: 0, era: 0 }],
            numbers: 2,
            batch_max: 1,
            leaves: false,
            sweeps_living: false,
            symmetric: true,
            losses: 0,
            delays: 0,
            resumes: false,
            forgives: true,
            flaw: None,
        }
    }

    /// The same, without one rule, and with every step by its own name.
    pub(super) fn flawed(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), symmetric: false, ..Self::small() }
    }

    /// Whether calls to the store that nobody else can see the middle of are steps of their own.
    pub(super) fn fine_steps(&self) -> bool {
        let fine = [
            Flaw::CommittedBeforeTheReleaseWasAnswered,
            Flaw::RecordOpenedAfterTheKeys,
            Flaw::AskedInSeveralCalls,
        ];
        self.delays > 0 || self.flaw.is_some_and(|flaw| fine.contains(&flaw))
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(super) fn message(&self, message: u8) -> Message {
        self.messages[usize::from(message)]
    }

    pub(super) fn keys(&self) -> u8 {
        self.messages.iter().map(|message| message.key + 1).max().unwrap_or(0)
    }
}
