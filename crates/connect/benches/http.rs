//! Delivering over HTTP: `cargo bench -p connect --bench http`.
//!
//! A receiver of a few lines on loopback, in this process, answers 200 to everything. Events have
//! 200 B. Prints calls and events a second, by events in a call and connections.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a benchmark, with what the tests have"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use event::sink::{Deliverer, Delivery};

#[path = "../tests/it/http/kit.rs"]
mod kit;

use kit::{Server, batch_of, deliver_some, reply, sink};

const EVENTS: u32 = 64_000;
const LASTS: Duration = Duration::from_secs(4);

fn measure(events_max: u64, connections_max: u64) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = Server::forgetful(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        reply(200)
    });
    let mut options = server.options();
    options.events_max = events_max;
    options.connections_max = connections_max;
    let mut sink = sink(&options);
    let payload = format!("{{\"event\":\"{}\"}}", "x".repeat(188));
    let batch = batch_of((0..EVENTS).map(|_| payload.clone()));
    let events: Vec<u32> = (0..EVENTS).collect();
    let (begun, mut delivered) = (Instant::now(), 0);
    'all: loop {
        for wave in events.chunks(sink.wave_events_max()) {
            let answers = deliver_some(&mut sink, &batch, wave, &Default::default());
            delivered += answers.iter().filter(|answer| **answer == Delivery::Delivered).count();
            if begun.elapsed() >= LASTS {
                break 'all;
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let (calls, events) = (calls.load(Ordering::Relaxed) as f64 / took, delivered as f64 / took);
    println!(
        "{events_max} events a call, {connections_max} connections: {calls:.0} calls/s, {events:.0} events/s"
    );
}

fn main() {
    for (events_max, connections_max) in [(1, 1), (1, 16), (500, 1), (500, 16)] {
        measure(events_max, connections_max);
    }
}
