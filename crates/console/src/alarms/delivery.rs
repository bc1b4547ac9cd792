//! Alarms of deliveries: sinks that are down, events that died, limits that come near.

use crate::delivery::DeliveryNow;
use crate::now::{Now, PipeNow};
use crate::show;

use super::{AlarmKind, Found, Thresholds};

/// From this share of a limit on it is an alarm.
const NEAR_PERCENT: u64 = 80;

/// Classes of deaths that an alarm names.
const CLASSES_SHOWN_MAX: usize = 5;

/// What somebody must be told of a pipe's deliveries.
pub(super) fn look(pipe: &PipeNow, thresholds: Option<&Thresholds>, found: &mut Found) {
    let delivery = &pipe.delivery;
    let mut raise = |kind: AlarmKind, what: String| {
        found.insert((kind, pipe.name.clone()), what);
    };
    if let Some(what) = down(delivery) {
        raise(AlarmKind::CircuitOpen, what);
    }
    if let Some((why, since_ms)) = &delivery.paused
        && !delivery.sinks.iter().any(|sink| sink.is_down() && names(why, &sink.sink))
    {
        raise(AlarmKind::PipePaused, format!("it waits since {}: {why}", show::time(*since_ms)));
    }
    if delivery.dead_last_hour > 0 {
        raise(AlarmKind::DeadLetters, died(delivery));
    }
    let Some(thresholds) = thresholds else { return };
    let max = thresholds.dead_letters_max;
    if is_near(delivery.letters_open, max) {
        let what = format!(
            "{} open, of limits.dead_letters_max = {}, past which the pipe stops: replay or purge \
             them (`onceflow dead`)",
            show::counted(delivery.letters_open, "dead letter"),
            show::count(max),
        );
        raise(AlarmKind::DeadLettersFull, what);
    }
    let max = thresholds.parked_bytes_max;
    if is_near(delivery.parked_bytes, max) {
        let what = format!(
            "{} parked with {}, of limits.parked_bytes_max = {}, past which the source pauses",
            show::counted(delivery.parked_events, "event"),
            show::bytes(delivery.parked_bytes),
            show::bytes(max),
        );
        raise(AlarmKind::Parked, what);
    }
}

/// Folders of dead letters that are nearly full.
pub(super) fn look_at_stores(now: &Now, found: &mut Found) {
    for store in now.dead_stores.iter().filter(|store| is_near(store.bytes, store.bytes_max)) {
        let what = format!(
            "{} of dead letters, of store_bytes_max = {}, past which pipes stop: replay or purge \
             them (`onceflow dead`)",
            show::bytes(store.bytes),
            show::bytes(store.bytes_max),
        );
        let of = format!("dead letters in {}", store.path.display());
        found.insert((AlarmKind::DeadLettersFull, of), what);
    }
}

/// Whether the pipe waits for this sink: that it is down is an alarm of its own, which stands while
/// the sink is asked, and the pause does not.
fn names(why: &str, sink: &str) -> bool {
    why.starts_with(&format!("sink `{sink}` is down"))
}

fn is_near(value: u64, max: u64) -> bool {
    value > 0 && u128::from(value) * 100 >= u128::from(max) * u128::from(NEAR_PERCENT)
}

/// Every sink that counts as down: since when, and what it said last.
fn down(delivery: &DeliveryNow) -> Option<String> {
    let sinks: Vec<String> = delivery
        .sinks
        .iter()
        .filter_map(|sink| {
            let since = show::time(sink.down_since_ms?);
            let said = sink.last_error.as_deref().unwrap_or("no answer");
            Some(format!("sink {} is down since {since}: {said}", sink.sink))
        })
        .collect();
    (!sinks.is_empty())
        .then(|| format!("{}; the pipe waits, and asks again now and then", sinks.join("; ")))
}

fn died(delivery: &DeliveryNow) -> String {
    let mut what = format!(
        "{} died in the last hour, {} in the last 5 minutes",
        show::counted(delivery.dead_last_hour, "event"),
        show::count(delivery.dead_recently),
    );
    let mut classes: Vec<(&String, &u64)> = delivery.dead_by_class.iter().collect();
    classes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    if !classes.is_empty() {
        let named: Vec<String> = classes
            .iter()
            .take(CLASSES_SHOWN_MAX)
            .map(|(class, count)| format!("{class} {}", show::count(**count)))
            .collect();
        what.push_str(&format!("; since the start: {}", named.join(", ")));
        let more = classes.len().saturating_sub(CLASSES_SHOWN_MAX);
        if more > 0 {
            what.push_str(&format!(" and {}", show::counted(more as u64, "more class")));
        }
    }
    what.push_str(&format!(
        "; {} open: `onceflow dead list` shows them",
        show::counted(delivery.letters_open, "letter"),
    ));
    what
}
