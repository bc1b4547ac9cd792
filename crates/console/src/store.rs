//! How a pipe gets on with the store that it shares with other workers.

use pipe::status::StoreStatus;

/// How a pipe gets on with the store that it shares with other workers; counted since the start.
#[derive(Clone, Debug, Default)]
pub struct StoreNow {
    /// Where it is.
    pub place: String,
    /// Whether the last call was answered.
    pub reachable: bool,
    /// Calls that failed.
    pub failures: u64,
    /// How often the pipe paused because of it.
    pub pauses: u64,
    /// Batches that lost their keys to another worker before they were committed.
    pub withdrawn: u64,
    /// Keys that were asked for.
    pub asked: u64,
    /// Of these, keys that other workers had committed.
    pub duplicates: u64,
    /// Of these, keys that were held by a batch elsewhere.
    pub busy: u64,
    /// How often it lost its data, as far as this data folder noticed.
    pub losses: u64,
}

impl StoreNow {
    pub(crate) fn of(status: &StoreStatus) -> Option<Self> {
        let health = status.health()?;
        Some(Self {
            place: health.place,
            reachable: health.reachable,
            failures: health.failures,
            pauses: status.pauses(),
            withdrawn: status.withdrawn(),
            asked: health.asked,
            duplicates: health.duplicates,
            busy: health.busy,
            losses: health.losses,
        })
    }
}
