//! How many calls a second go over loopback. Not a promise: `ONCEFLOW_HTTP_SPEED=1` prints it.

use std::time::{Duration, Instant};

use event::sink::{Deliverer, Delivery};

use super::kit::{Server, batch_of, deliver_some, reply, sink};

fn measure(events_max: u64, connections_max: u64) {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    options.events_max = events_max;
    options.connections_max = connections_max;
    let mut sink = sink(&options);
    let payload = format!("{{\"event\":\"{}\"}}", "x".repeat(180));
    let batch = batch_of((0..60_000).map(|_| payload.clone()));
    let events: Vec<u32> = (0..60_000).collect();
    let (begun, mut delivered) = (Instant::now(), 0);
    for wave in events.chunks(sink.wave_events_max()) {
        let answers = deliver_some(&mut sink, &batch, wave, &Default::default());
        delivered += answers.iter().filter(|answer| **answer == Delivery::Delivered).count();
        if begun.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    let (calls, took) = (server.seen().len(), begun.elapsed().as_secs_f64());
    println!(
        "events_max {events_max}, connections_max {connections_max}: {:.0} calls/s, {:.0} events/s",
        calls as f64 / took,
        delivered as f64 / took
    );
}

#[test]
fn calls_a_second() {
    if std::env::var_os("ONCEFLOW_HTTP_SPEED").is_none() {
        return;
    }
    for (events_max, connections_max) in [(1, 1), (1, 16), (500, 1), (500, 16)] {
        measure(events_max, connections_max);
    }
}
