//! Watermarks, and what may be forgotten.

use super::{DedupClock, ScopeOptions, SourceId};

/// How far a source is.
#[derive(Debug)]
struct Mark {
    source: SourceId,
    /// The highest recorded time of its events; `i64::MIN` without any.
    watermark_ms: i64,
    /// The wall clock when it last gave events, or when it became known; `None` until a wall clock
    /// is at hand.
    heard_ms: Option<i64>,
}

/// How far a scope is in its own time.
#[derive(Debug)]
pub(super) struct Times {
    marks: Vec<Mark>,
    recorded_max_ms: i64,
    forgotten_through_ms: i64,
}

/// An event's time, and how it lies to the watermarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// In time.
    InTime(i64),
    /// Later than the watermark less lateness, or than what is remembered.
    Late(i64),
    /// Too far beyond the wall clock.
    Ahead(i64),
    /// It has none.
    Missing,
}

/// What an event says of its time; `event::batch::NO_TIME` where it says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    pub(super) received_ms: i64,
    pub(super) broker_ms: i64,
    pub(super) event_ms: i64,
}

/// A source's place in the list of marks.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarkIndex(usize);

impl Times {
    pub(super) fn new() -> Self {
        Self { marks: Vec::new(), recorded_max_ms: i64::MIN, forgotten_through_ms: i64::MIN }
    }

    /// Where the mark of `source` is; a new one for a source not known yet.
    pub(super) fn index(&mut self, source: SourceId) -> MarkIndex {
        let known = self.marks.iter().position(|mark| mark.source == source);
        MarkIndex(known.unwrap_or_else(|| {
            self.marks.push(Mark { source, watermark_ms: i64::MIN, heard_ms: None });
            self.marks.len() - 1
        }))
    }

    /// Notes that a source gave events.
    pub(super) fn heard(&mut self, index: MarkIndex, now_ms: i64) {
        if let Some(mark) = self.marks.get_mut(index.0) {
            mark.heard_ms = Some(now_ms);
        }
    }

    /// What may be forgotten by now: no source can give an event before it that would be in time,
    /// and no event that waits stands before it (`oldest_waiting_ms`).
    pub(super) fn forget(
        &mut self,
        options: &ScopeOptions,
        now_ms: i64,
        oldest_waiting_ms: Option<i64>,
    ) -> i64 {
        let received = options.clock == DedupClock::Received;
        let recorded_max_ms = self.recorded_max_ms;
        let far = self.marks.iter_mut().map(|mark| {
            let own = if received { recorded_max_ms } else { mark.watermark_ms };
            let heard_ms = *mark.heard_ms.get_or_insert(now_ms);
            let idle = now_ms.saturating_sub(heard_ms) >= options.source_idle_max_ms;
            if idle { own.max(now_ms.saturating_sub(options.source_idle_max_ms)) } else { own }
        });
        // Every mark is looked at, also behind one that holds everything: it starts idle times.
        if let Some(least) = far.min() {
            let lateness_ms = if received { 0 } else { options.lateness_ms };
            let through = least.saturating_sub(lateness_ms);
            let through = oldest_waiting_ms.map_or(through, |waiting| through.min(waiting));
            self.forgotten_through_ms = self.forgotten_through_ms.max(through);
        }
        self.forgotten_through_ms
    }

    /// The recorded time of an event of a source; moves the watermarks.
    #[inline]
    pub(super) fn record(
        &mut self,
        options: &ScopeOptions,
        source: MarkIndex,
        stated: Stated,
        now_ms: i64,
    ) -> Timed {
        let Some(mark) = self.marks.get_mut(source.0) else { return Timed::Missing };
        let time_ms = match options.clock {
            DedupClock::Received => {
                let floor = self.recorded_max_ms.max(self.forgotten_through_ms);
                let time_ms = stated.received_ms.max(floor);
                self.recorded_max_ms = time_ms;
                mark.watermark_ms = time_ms;
                return Timed::InTime(time_ms);
            }
            DedupClock::Broker => stated.broker_ms,
            DedupClock::Event => stated.event_ms,
        };
        if time_ms == event::batch::NO_TIME {
            return Timed::Missing;
        }
        if time_ms > now_ms.saturating_add(options.clock_ahead_max_ms) {
            return Timed::Ahead(time_ms);
        }
        let watermark_ms = mark.watermark_ms;
        mark.watermark_ms = watermark_ms.max(time_ms);
        self.recorded_max_ms = self.recorded_max_ms.max(time_ms);
        let late = time_ms < watermark_ms.saturating_sub(options.lateness_ms)
            || time_ms < self.forgotten_through_ms;
        if late { Timed::Late(time_ms) } else { Timed::InTime(time_ms) }
    }

    /// The recorded time of an event that has no part in dedup; moves nothing. Its time of receipt
    /// where it states none.
    pub(super) fn peek(&self, options: &ScopeOptions, stated: Stated) -> i64 {
        let time_ms = match options.clock {
            DedupClock::Received => stated.received_ms.max(self.recorded_max_ms),
            DedupClock::Broker => stated.broker_ms,
            DedupClock::Event => stated.event_ms,
        };
        if time_ms == event::batch::NO_TIME { stated.received_ms } else { time_ms }
    }

    pub(super) fn recorded_max_ms(&self) -> i64 {
        self.recorded_max_ms
    }

    pub(super) const fn forgotten_through_ms(&self) -> i64 {
        self.forgotten_through_ms
    }

    pub(super) fn watermarks(&self) -> impl Iterator<Item = (SourceId, i64)> + '_ {
        let known = self.marks.iter().filter(|mark| mark.watermark_ms != i64::MIN);
        known.map(|mark| (mark.source, mark.watermark_ms))
    }

    pub(super) fn restore_recorded_max(&mut self, recorded_max_ms: i64) {
        self.recorded_max_ms = self.recorded_max_ms.max(recorded_max_ms);
    }

    pub(super) fn restore_watermark(&mut self, source: SourceId, watermark_ms: i64) {
        let index = self.index(source);
        if let Some(mark) = self.marks.get_mut(index.0) {
            mark.watermark_ms = mark.watermark_ms.max(watermark_ms);
        }
    }

    pub(super) fn restore_forgotten_through(&mut self, forgotten_through_ms: i64) {
        self.forgotten_through_ms = self.forgotten_through_ms.max(forgotten_through_ms);
    }
}
