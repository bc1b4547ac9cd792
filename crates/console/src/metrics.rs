//! The metrics page. Labels are bounded: pipes, sinks, scopes and stores of dead letters by the
//! config, types by `limits.types_max`, classes of deaths by [`pipe::status::CLASSES_MAX`], queues
//! and streams by [`NAMES_MAX`].

mod delivery;
mod store;

use event::Outcome;

use crate::exposition::{Exposition, Kind};
use crate::now::Now;

/// Queues, and streams, that have samples of their own; the rest is left out.
pub const NAMES_MAX: usize = 1000;

/// The page, as Prometheus reads it.
#[must_use]
pub fn page(now: &Now, version: &str) -> String {
    let mut page = Exposition::default();
    page.family("onceflow_build_info", Kind::Gauge, "The program.")
        .sample(&[("version", version)], 1);
    pipes(now, &mut page);
    sources(now, &mut page);
    delivery::add(now, &mut page);
    store::add(now, &mut page);
    ledger(now, &mut page);
    queues(now, &mut page);
    streams(now, &mut page);
    process(now, &mut page);
    page.text()
}

fn pipes(now: &Now, page: &mut Exposition) {
    let mut family =
        page.family("onceflow_pipe_phase", Kind::Gauge, "1 for what the pipe is doing.");
    for pipe in &now.pipes {
        family.sample(&[("pipe", &pipe.name), ("phase", pipe.phase)], 1);
    }
    let mut family = page.family(
        "onceflow_events_received_total",
        Kind::Counter,
        "Events that sources handed over, as recorded.",
    );
    for pipe in &now.pipes {
        for (source, received) in &pipe.received {
            family.sample(&[("pipe", &pipe.name), ("source", source)], received);
        }
    }
    let mut family =
        page.family("onceflow_events_total", Kind::Counter, "Events by what became of them.");
    for pipe in &now.pipes {
        for outcome in Outcome::ALL {
            let count = pipe.outcomes.get(outcome.index()).copied().unwrap_or(0);
            family.sample(&[("pipe", &pipe.name), ("outcome", outcome.name())], count);
        }
    }
    let mut family = page.family(
        "onceflow_type_events_total",
        Kind::Counter,
        "Events by type and by what became of them.",
    );
    for pipe in &now.pipes {
        for (name, counts) in &pipe.types {
            for outcome in Outcome::ALL {
                let count = counts.get(outcome.index()).copied().unwrap_or(0);
                if count > 0 {
                    let labels =
                        [("pipe", pipe.name.as_str()), ("type", name), ("outcome", outcome.name())];
                    family.sample(&labels, count);
                }
            }
        }
    }
    of_pipes(
        now,
        page,
        "onceflow_events_in_flight",
        Kind::Gauge,
        "Events received and unsettled.",
        |p| p.in_flight,
    );
    of_pipes(
        now,
        page,
        "onceflow_events_reread_total",
        Kind::Counter,
        "Settled events that came again.",
        |p| p.reread,
    );
    of_pipes(
        now,
        page,
        "onceflow_events_expired_total",
        Kind::Counter,
        "Events that the source's retention removed before they were read.",
        |p| p.expired,
    );
    of_pipes(now, page, "onceflow_batches_total", Kind::Counter, "Batches committed.", |p| {
        p.batches
    });
    of_pipes(
        now,
        page,
        "onceflow_events_per_second",
        Kind::Gauge,
        "Events settled, over the last 10 s.",
        |p| p.events_per_second,
    );
    let mut family = page.family(
        "onceflow_batches_unpublished",
        Kind::Gauge,
        "Batches that are committed and not known to be visible.",
    );
    for pipe in &now.pipes {
        for (sink, count) in &pipe.unpublished {
            family.sample(&[("pipe", &pipe.name), ("sink", sink)], count);
        }
    }
}

fn of_pipes<V: std::fmt::Display>(
    now: &Now,
    page: &mut Exposition,
    name: &'static str,
    kind: Kind,
    help: &str,
    value: impl Fn(&crate::now::PipeNow) -> V,
) {
    let mut family = page.family(name, kind, help);
    for pipe in &now.pipes {
        family.sample(&[("pipe", &pipe.name)], value(pipe));
    }
}

fn sources(now: &Now, page: &mut Exposition) {
    type Value = fn(&crate::now::SourceNow) -> f64;
    let families: [(&'static str, Kind, &str, Value); 5] = [
        (
            "onceflow_behind_events",
            Kind::Gauge,
            "Events that are there and not received yet.",
            |s| s.behind_events as f64,
        ),
        ("onceflow_behind_seconds", Kind::Gauge, "Age of the oldest unsettled event.", |s| {
            s.behind_ms as f64 / 1000.0
        }),
        (
            "onceflow_source_retention_seconds",
            Kind::Gauge,
            "How long the source keeps events.",
            |s| s.retention_ms as f64 / 1000.0,
        ),
        ("onceflow_message_ids", Kind::Gauge, "Message ids that are remembered.", |s| {
            s.message_ids as f64
        }),
        (
            "onceflow_source_errors_total",
            Kind::Counter,
            "Calls that failed and were tried again.",
            |s| s.errors as f64,
        ),
    ];
    for (name, kind, help, value) in families {
        let mut family = page.family(name, kind, help);
        for pipe in &now.pipes {
            if let Some(source) = &pipe.source {
                family.sample(&[("pipe", &pipe.name)], value(source));
            }
        }
    }
}

fn ledger(now: &Now, page: &mut Exposition) {
    let mut family = page.family("onceflow_keys", Kind::Gauge, "Keys in memory.");
    for (scope, keys) in &now.keys_live {
        family.sample(&[("scope", scope)], keys);
    }
    let mut family =
        page.family("onceflow_keys_committed_total", Kind::Counter, "Keys ever remembered.");
    for (scope, keys) in &now.keys_committed {
        family.sample(&[("scope", scope)], keys);
    }
    page.family(
        "onceflow_imbalances",
        Kind::Gauge,
        "Minutes, hours or days in which received and accounted events differ.",
    )
    .sample(&[], now.imbalances.len());
}

fn queues(now: &Now, page: &mut Exposition) {
    let queues = || now.queues.iter().take(NAMES_MAX);
    let mut family = page.family("onceflow_queue_messages", Kind::Gauge, "Messages by state.");
    for queue in queues() {
        let counts = &queue.statistics;
        for (state, count) in [
            ("visible", counts.visible),
            ("in_flight", counts.in_flight),
            ("delayed", counts.delayed),
        ] {
            family.sample(&[("queue", &queue.name), ("state", state)], count);
        }
    }
    let mut family =
        page.family("onceflow_queue_oldest_seconds", Kind::Gauge, "Age of the oldest message.");
    for queue in queues() {
        let age_ms = queue.statistics.oldest_sent_ms.map_or(0, |sent_ms| now.at_ms - sent_ms);
        family.sample(&[("queue", &queue.name)], age_ms.max(0) as f64 / 1000.0);
    }
    let mut family =
        page.family("onceflow_queue_messages_total", Kind::Counter, "Messages by what happened.");
    for queue in queues() {
        let counts = &queue.statistics;
        for (what, count) in [
            ("sent", counts.sent),
            ("deleted", counts.deleted),
            ("expired", counts.expired),
            ("purged", counts.purged),
            ("moved", counts.moved),
        ] {
            family.sample(&[("queue", &queue.name), ("what", what)], count);
        }
    }
}

fn streams(now: &Now, page: &mut Exposition) {
    let streams = || now.streams.iter().take(NAMES_MAX);
    let mut family = page.family("onceflow_stream_records", Kind::Gauge, "Records that are kept.");
    for stream in streams() {
        family.sample(&[("stream", &stream.name)], stream.statistics.records);
    }
    let mut family =
        page.family("onceflow_stream_oldest_seconds", Kind::Gauge, "Age of the oldest record.");
    for stream in streams() {
        let age_ms = stream.statistics.oldest_ms.map_or(0, |put_ms| now.at_ms - put_ms);
        family.sample(&[("stream", &stream.name)], age_ms.max(0) as f64 / 1000.0);
    }
    let mut family = page.family("onceflow_stream_records_total", Kind::Counter, "Records put.");
    for stream in streams() {
        family.sample(&[("stream", &stream.name)], stream.statistics.put);
    }
    if let Some(bytes) = now.broker_bytes {
        page.family("onceflow_broker_bytes", Kind::Gauge, "Bytes on disk of the broker.")
            .sample(&[], bytes);
    }
}

fn process(now: &Now, page: &mut Exposition) {
    if let Some(bytes) = now.memory_bytes {
        page.family("onceflow_memory_bytes", Kind::Gauge, "Memory that the process holds.")
            .sample(&[], bytes);
    }
    if let Some(cpu_ms) = now.cpu_ms {
        page.family("onceflow_cpu_seconds_total", Kind::Counter, "CPU time of the process.")
            .sample(&[], cpu_ms as f64 / 1000.0);
    }
    if let Some((free, whole)) = now.disk {
        page.family("onceflow_disk_free_bytes", Kind::Gauge, "Room on the data folder's disk.")
            .sample(&[], free);
        page.family("onceflow_disk_bytes", Kind::Gauge, "Size of the data folder's disk.")
            .sample(&[], whole);
    }
}
