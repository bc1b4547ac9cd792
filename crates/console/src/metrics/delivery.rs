//! Metrics of deliveries: sinks, what waits, what died.

use pipe::CircuitState;

use crate::delivery::{DeliveryNow, SinkNow};
use crate::exposition::{Exposition, Kind};
use crate::now::Now;

pub(super) fn add(now: &Now, page: &mut Exposition) {
    sinks(now, page);
    circuits(now, page);
    waiting(now, page);
    dead(now, page);
}

/// A number of a sink or of a pipe's deliveries, with its name and what it says.
type Of<T> = (&'static str, Kind, &'static str, fn(&T) -> u64);

fn sinks(now: &Now, page: &mut Exposition) {
    let families: [Of<SinkNow>; 5] = [
        (
            "onceflow_sink_attempts_total",
            Kind::Counter,
            "Deliveries that were tried, by event.",
            |sink| sink.attempts,
        ),
        ("onceflow_sink_failures_total", Kind::Counter, "Those that failed.", |sink| sink.failures),
        (
            "onceflow_sink_retries_total",
            Kind::Counter,
            "Those that were not an event's first.",
            |sink| sink.retries,
        ),
        ("onceflow_sink_delivered_total", Kind::Counter, "Events that the sink has.", |sink| {
            sink.delivered
        }),
        ("onceflow_sink_dead_total", Kind::Counter, "Events that died at the sink.", |sink| {
            sink.dead
        }),
    ];
    for (name, kind, help, value) in families {
        let mut family = page.family(name, kind, help);
        for pipe in &now.pipes {
            for sink in pipe.delivery.sinks.iter().filter(|sink| sink.was_called()) {
                family.sample(&[("pipe", &pipe.name), ("sink", &sink.sink)], value(sink));
            }
        }
    }
}

fn circuits(now: &Now, page: &mut Exposition) {
    let mut family = page.family(
        "onceflow_sink_circuit",
        Kind::Gauge,
        "1 for the state of the sink's circuit: open means that it counts as down.",
    );
    for pipe in &now.pipes {
        for sink in pipe.delivery.sinks.iter().filter(|sink| sink.was_called()) {
            for state in CircuitState::ALL {
                let labels =
                    [("pipe", pipe.name.as_str()), ("sink", &sink.sink), ("state", state.name())];
                family.sample(&labels, u8::from(sink.circuit == state.name()));
            }
        }
    }
}

fn waiting(now: &Now, page: &mut Exposition) {
    let families: [Of<DeliveryNow>; 6] = [
        (
            "onceflow_unsettled_events",
            Kind::Gauge,
            "Events in memory that wait for their key or their next attempt.",
            |d| d.unsettled_events,
        ),
        ("onceflow_unsettled_bytes", Kind::Gauge, "Their bytes.", |d| d.unsettled_bytes),
        ("onceflow_parked_events", Kind::Gauge, "Events that wait in the ledger.", |d| {
            d.parked_events
        }),
        ("onceflow_parked_bytes", Kind::Gauge, "Their bytes.", |d| d.parked_bytes),
        (
            "onceflow_pipe_paused",
            Kind::Gauge,
            "1 while the pipe waits for room or for a sink.",
            |d| u64::from(d.paused.is_some()),
        ),
        (
            "onceflow_dead_letters_open",
            Kind::Gauge,
            "Dead letters that were neither replayed nor purged.",
            |d| d.letters_open,
        ),
    ];
    for (name, kind, help, value) in families {
        let mut family = page.family(name, kind, help);
        for pipe in &now.pipes {
            family.sample(&[("pipe", &pipe.name)], value(&pipe.delivery));
        }
    }
}

fn dead(now: &Now, page: &mut Exposition) {
    let mut family = page.family(
        "onceflow_dead_events_total",
        Kind::Counter,
        "Events that died since the start, by the class of the error.",
    );
    for pipe in &now.pipes {
        for (class, count) in &pipe.delivery.dead_by_class {
            family.sample(&[("pipe", &pipe.name), ("class", class)], count);
        }
    }
    let mut family = page.family(
        "onceflow_dead_letter_store_bytes",
        Kind::Gauge,
        "Bytes of dead letters in a folder, as of the last few minutes.",
    );
    for store in &now.dead_stores {
        family.sample(&[("store", &store.path.to_string_lossy())], store.bytes);
    }
    let mut family = page.family(
        "onceflow_dead_letter_store_bytes_max",
        Kind::Gauge,
        "Bytes that it may hold; past them its pipes stop.",
    );
    for store in &now.dead_stores {
        family.sample(&[("store", &store.path.to_string_lossy())], store.bytes_max);
    }
}
