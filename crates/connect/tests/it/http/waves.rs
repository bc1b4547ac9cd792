//! Many calls at the same time: answers in order, and an end when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::bounded;
use event::sink::{Deliverer, Delivery, FailureKind};
use event::source::Stop;

use super::kit::{Server, class_of, counts, deliver, deliver_some, numbers, reply, sink};

#[test]
fn answers_come_in_the_order_of_events() {
    let server = Server::start(|seen| match seen.text().parse::<u64>().unwrap() % 3 {
        0 => reply(422),
        1 => reply(503),
        _ => reply(200),
    });
    let mut options = server.options();
    options.connections_max = 8;
    let mut sink = sink(&options);
    let events: Vec<u32> = (0..300).filter(|event| event % 7 != 0).collect();
    let answers = deliver_some(&mut sink, &numbers(300), &events, &Stop::default());
    for (event, answer) in events.iter().zip(&answers) {
        let expected = match event % 3 {
            0 => ("http_422", Some(FailureKind::Deterministic)),
            1 => ("http_503", Some(FailureKind::Transient)),
            _ => ("delivered", None),
        };
        assert_eq!(class_of(answer), expected, "event {event}");
    }
}

#[test]
fn as_many_calls_as_connections_are_under_way_at_the_same_time() {
    let (arrived, all) = bounded::<()>(8);
    let (go, gate) = bounded::<()>(8);
    let most = Arc::new(AtomicUsize::new(0));
    let now = AtomicUsize::new(0);
    let seen_most = Arc::clone(&most);
    let server = Server::start(move |_| {
        let under_way = now.fetch_add(1, Ordering::SeqCst) + 1;
        seen_most.fetch_max(under_way, Ordering::SeqCst);
        arrived.send(()).unwrap();
        gate.recv().unwrap();
        now.fetch_sub(1, Ordering::SeqCst);
        reply(200)
    });
    let mut options = server.options();
    options.connections_max = 4;
    let releasing = std::thread::spawn(move || {
        (0..4).for_each(|_| all.recv().unwrap()); // none is answered before four are there
        (0..12).for_each(|_| go.send(()).unwrap());
        (0..8).for_each(|_| all.recv().unwrap());
    });
    assert_eq!(deliver(&mut sink(&options), &numbers(12)), vec![Delivery::Delivered; 12]);
    releasing.join().unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 4);
    assert_eq!(server.connections(), 4);
}

#[test]
fn who_is_asked_to_stop_begins_nothing_new() {
    let stop = Stop::default();
    let asked = stop.clone();
    let server = Server::start(move |_| {
        asked.ask();
        reply(200)
    });
    let mut options = server.options();
    options.connections_max = 1;
    let events: Vec<u32> = (0..8).collect();
    let answers = deliver_some(&mut sink(&options), &numbers(8), &events, &stop);
    assert_eq!(counts(&answers), [("delivered", 1), ("not tried", 7)].into());
    assert_eq!(answers[0], Delivery::Delivered, "what was under way ended");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn bisecting_ends_too_when_somebody_asks_to_stop() {
    let stop = Stop::default();
    let asked = stop.clone();
    let server = Server::start(move |seen| {
        if seen.numbers().len() == 1 {
            asked.ask();
        }
        reply(400)
    });
    let mut options = server.options();
    options.events_max = 8;
    let events: Vec<u32> = (0..8).collect();
    let answers = deliver_some(&mut sink(&options), &numbers(8), &events, &stop);
    assert_eq!(counts(&answers), [("http_400", 1), ("not tried", 7)].into());
    assert_eq!(server.seen().len(), 4, "8, 4, 2 and 1 events");
}

#[test]
fn a_sink_without_events_calls_nobody() {
    let server = Server::start(|_| reply(200));
    let mut sink = sink(&server.options());
    assert_eq!(deliver(&mut sink, &numbers(0)), []);
    assert_eq!(sink.name(), "out");
    assert_eq!(server.connections(), 0);
}

#[test]
fn its_threads_end_with_it() {
    let server = Server::start(|_| reply(200));
    let mut sink = sink(&server.options());
    deliver(&mut sink, &numbers(100));
    drop(sink); // waits for them; their connections are closed
    for _ in 0..server.connections() {
        server.closed.recv().unwrap();
    }
}
