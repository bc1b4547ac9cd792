//! Why a receipt did nothing.

/// Why a receipt did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptProblem {
    /// The message was received anew since, by somebody else perhaps.
    #[error("the receipt is not that of the latest receive")]
    Stale,
    /// The message is not there: deleted, expired or purged.
    #[error("the message is no longer there")]
    Gone,
    /// The message isn't hidden, so its visibility can't be changed.
    #[error("the message is not in flight")]
    NotInFlight,
    /// Of another queue.
    #[error("the receipt belongs to another queue")]
    OtherQueue,
    /// A message can be hidden until 12 h after its receive at most.
    #[error("a message can't be hidden longer than 12 hours after it was received")]
    HiddenTooLong,
}
