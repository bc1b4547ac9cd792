//! No more calls in a second than allowed.

use std::time::{Duration, Instant};

use event::sink::{Deliverer, Delivery};

use super::kit::{Server, deliver, numbers, reply, sink};

#[test]
fn calls_keep_their_distance_over_all_connections() {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    options.connections_max = 4;
    options.calls_per_second_max = Some(50);
    let mut sink = sink(&options);
    let begun = Instant::now();
    assert_eq!(deliver(&mut sink, &numbers(11)), vec![Delivery::Delivered; 11]);
    // Ten times 20 ms lie between the first and the last; 10 ms may be made up for.
    for (number, seen) in (0..).zip(server.seen()) {
        let least = Duration::from_millis(20) * number;
        let least = least.saturating_sub(Duration::from_millis(10));
        assert!(seen.at - begun >= least, "call {number} came after {:?}", seen.at - begun);
    }
}

#[test]
fn a_wave_is_no_longer_than_what_can_be_called_in_time() {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    options.connections_max = 16;
    options.events_max = 10;
    assert_eq!(sink(&options).wave_events_max(), 16 * 4 * 10);
    options.calls_per_second_max = Some(1);
    options.timeout = Duration::from_secs(5);
    assert_eq!(sink(&options).wave_events_max(), 5 * 10);
    options.timeout = Duration::from_millis(10);
    assert_eq!(sink(&options).wave_events_max(), 2 * 10);
}

#[test]
fn what_would_come_too_late_is_not_tried() {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    options.connections_max = 4;
    options.calls_per_second_max = Some(1);
    options.timeout = Duration::from_secs(2);
    let answers = deliver(&mut sink(&options), &numbers(20));
    let delivered = answers.iter().filter(|answer| **answer == Delivery::Delivered).count();
    let not_tried = answers.iter().filter(|answer| **answer == Delivery::NotTried).count();
    assert_eq!(delivered + not_tried, 20);
    assert!((1..=3).contains(&delivered), "{delivered} calls in two seconds");
    assert_eq!(server.seen().len(), delivered);
}
