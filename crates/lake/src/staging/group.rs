//! Which minute each row of a batch belongs to.

use event::sink::Rows;

use super::By;
use super::names::Minute;

/// The rows of one minute: indexes of events, ascending.
pub(super) struct Group {
    pub(super) minute: Minute,
    pub(super) events: Vec<u32>,
}

/// Splits rows by minute; the groups are in order of time.
pub(super) fn by_minute(rows: &Rows<'_>, by: By) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut last = 0;
    let mut extents = rows.batch.extent_ranges();
    let mut extent = extents.next();
    for (index, event) in rows.iter() {
        while extent.as_ref().is_some_and(|(_, events)| index >= events.end) {
            extent = extents.next();
        }
        let arrival = extent.as_ref().map_or(rows.now_ms, |(extent, _)| extent.received_ms);
        let minute = match by {
            By::Arrival => None,
            By::EventTime => Minute::of_ms(event.event_ms),
        };
        let minute = minute.or_else(|| Minute::of_ms(arrival)).unwrap_or(Minute::FIRST);
        if groups.get(last).is_none_or(|group| group.minute != minute) {
            last = groups.partition_point(|group| group.minute < minute);
            if groups.get(last).is_none_or(|group| group.minute != minute) {
                groups.insert(last, Group { minute, events: Vec::new() });
            }
        }
        if let Some(group) = groups.get_mut(last) {
            group.events.push(index as u32);
        }
    }
    groups
}
