//! Several events in one call, and which of them failed.

use std::collections::BTreeMap;

use connect::{HttpBody, HttpOptions};
use event::sink::{Delivery, FailureKind};

use super::kit::{
    Answer, Server, answer, batch_of, class_of, counts, deliver, numbers, reply, reply_with, sink,
};

fn batches(server: &Server, events_max: u64) -> HttpOptions {
    let mut options = server.options();
    options.events_max = events_max;
    options
}

fn listing(server: &Server) -> HttpOptions {
    let mut options = batches(server, 500);
    options.failures = Some("$.batchItemFailures".parse().unwrap());
    options
}

#[test]
fn events_are_packed_in_their_order() {
    let server = Server::start(|_| reply(200));
    let mut options = batches(&server, 4);
    options.connections_max = 1;
    assert_eq!(deliver(&mut sink(&options), &numbers(10)), vec![Delivery::Delivered; 10]);
    let bodies: Vec<String> = server.seen().iter().map(|seen| seen.text().to_owned()).collect();
    assert_eq!(bodies, ["[0,1,2,3]", "[4,5,6,7]", "[8,9]"]);
    assert_eq!(server.seen()[0].header("content-type"), Some("application/json"));
}

#[test]
fn events_go_one_a_line() {
    let server = Server::start(|_| reply(200));
    let mut options = batches(&server, 4);
    options.body = HttpBody::Ndjson;
    let batch = batch_of(["{\"a\":1}".into(), "{\r\n\"b\":\n2}".into()]);
    deliver(&mut sink(&options), &batch);
    let seen = server.seen().remove(0);
    assert_eq!(seen.text(), "{\"a\":1}\n{  \"b\": 2}\n");
    assert_eq!(seen.header("content-type"), Some("application/x-ndjson"));
}

#[test]
fn an_event_that_fits_into_no_call_dies_and_the_others_go() {
    let server = Server::start(|_| reply(200));
    let mut options = batches(&server, 100);
    options.bytes_max = 1024;
    let long = |len: usize| format!("\"{}\"", "x".repeat(len - 2));
    let batch = batch_of([long(1022), long(1023), long(600), long(600), "1".into()]);
    let answers = deliver(&mut sink(&options), &batch);
    assert_eq!(counts(&answers), [("delivered", 4), ("too_large", 1)].into());
    assert_eq!(class_of(&answers[1]), ("too_large", Some(FailureKind::Deterministic)));
    assert_eq!(server.seen().len(), 3);
    assert!(server.seen().iter().all(|seen| seen.body.len() <= 1024));
}

#[test]
fn of_500_events_3_fail_and_497_are_delivered() {
    let server = Server::start(|_| {
        reply_with(
            200,
            r#"{"batchItemFailures":[
                {"index":7,"error":"locked"},
                {"itemIdentifier":"300","transient":false,"error":"no such user"},
                {"itemIdentifier":"000000000000000000000000000001f4"}]}"#,
        )
    });
    let answers = deliver(&mut sink(&listing(&server)), &numbers(500));
    assert_eq!(counts(&answers), [("delivered", 497), ("listed", 3)].into());
    let kind = |index: usize| class_of(&answers[index]).1;
    assert_eq!(kind(7), Some(FailureKind::Transient));
    assert_eq!(kind(300), Some(FailureKind::Deterministic));
    assert_eq!(kind(499), Some(FailureKind::Transient), "by its key, which is 500");
    let Delivery::Failed(failure) = &answers[300] else { panic!() };
    assert_eq!(failure.message, "no such user");
    assert_eq!(server.seen().len(), 1, "one call is enough");
}

#[test]
fn a_list_that_cant_be_understood_fails_the_batch_for_now() {
    for body in [
        "{}",
        "<html>",
        r#"{"batchItemFailures":{}}"#,
        r#"{"batchItemFailures":[{"index":3}]}"#,
        r#"{"batchItemFailures":[{"index":0},{"who":1}]}"#,
    ] {
        let server = Server::start(move |_| reply_with(200, body));
        let answers = deliver(&mut sink(&listing(&server)), &numbers(3));
        let nonsense = ("nonsense", Some(FailureKind::Transient));
        assert_eq!(answers.iter().map(class_of).collect::<Vec<_>>(), vec![nonsense; 3], "{body}");
        assert_eq!(server.seen().len(), 1);
    }
    for body in ["", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
        let server = Server::start(move |_| reply_with(200, body));
        let answers = deliver(&mut sink(&listing(&server)), &numbers(3));
        assert_eq!(answers, vec![Delivery::Delivered; 3], "{body}");
    }
}

#[test]
fn a_list_holds_for_a_call_with_one_event_too() {
    let server = Server::start(|_| reply_with(200, r#"{"batchItemFailures":[0]}"#));
    let answers = deliver(&mut sink(&listing(&server)), &numbers(1));
    assert_eq!(class_of(&answers[0]).0, "listed");
    assert_eq!(server.seen()[0].text(), "[0]");
}

#[test]
fn without_batches_the_status_is_all_that_counts() {
    let server = Server::start(|_| reply_with(200, r#"{"batchItemFailures":[0]}"#));
    let options = HttpOptions { events_max: 1, ..listing(&server) };
    assert_eq!(deliver(&mut sink(&options), &numbers(1)), [Delivery::Delivered]);
}

/// Delivers `count` events to a receiver that takes no call with one of `bad`; gives how many
/// calls it took.
fn bisect(count: u64, bad: &'static [u64]) -> usize {
    let server = Server::start(|seen| {
        let refused = seen.numbers().iter().any(|number| bad.contains(number));
        if refused { reply_with(422, "one of them is bad") } else { reply(200) }
    });
    let options = batches(&server, count);
    let answers = deliver(&mut sink(&options), &numbers(count));
    for (number, answer) in (0..).zip(&answers) {
        let expected = if bad.contains(&number) { "http_422" } else { "delivered" };
        assert_eq!(class_of(answer).0, expected, "event {number}");
    }
    // What was taken was taken once.
    let mut taken = BTreeMap::new();
    for seen in server.seen() {
        let numbers = seen.numbers();
        if !numbers.iter().any(|number| bad.contains(number)) {
            numbers.iter().for_each(|number| *taken.entry(*number).or_insert(0) += 1);
        }
    }
    assert!(taken.values().all(|times| *times == 1));
    assert_eq!(taken.len() + bad.len(), count as usize);
    server.seen().len()
}

#[test]
fn bisecting_finds_exactly_the_bad_ones_with_few_calls() {
    assert_eq!(bisect(500, &[]), 1);
    // Each of the 8 halvings down to one event asks both halves.
    assert_eq!(bisect(500, &[0]), 1 + 8 * 2);
    // The first half is fine 9 times, so the second is to blame and only asked when it is alone.
    assert_eq!(bisect(500, &[499]), 1 + 9 + 1);
    assert_eq!(bisect(500, &[7, 300, 499]), 39);
    assert_eq!(bisect(8, &[0, 1, 2, 3, 4, 5, 6, 7]), 1 + 2 + 4 + 8);
    assert_eq!(bisect(2, &[1]), 1 + 2);
}

#[test]
fn a_batch_that_is_too_large_together_is_halved() {
    let server = Server::start(|seen| reply(if seen.numbers().len() > 100 { 413 } else { 200 }));
    let answers = deliver(&mut sink(&batches(&server, 400)), &numbers(400));
    assert_eq!(counts(&answers), [("delivered", 400)].into());
    assert_eq!(server.seen().len(), 1 + 2 + 4);
}

#[test]
fn what_may_go_well_later_holds_for_the_whole_batch() {
    let server = Server::start(|_| Answer::Reply(answer(503, "retry-after: 3\r\n", "")));
    let answers = deliver(&mut sink(&batches(&server, 100)), &numbers(100));
    assert_eq!(counts(&answers), [("http_503", 100)].into());
    assert_eq!(server.seen().len(), 1);
    let Delivery::Failed(failure) = &answers[99] else { panic!() };
    assert_eq!(failure.retry_after.unwrap().as_secs(), 3);
}

#[test]
fn a_half_that_may_go_well_later_is_not_blamed() {
    let server = Server::start(|seen| match seen.numbers().as_slice() {
        numbers if numbers.contains(&1) && numbers.contains(&6) => reply(400),
        numbers if numbers.contains(&6) => reply(503),
        numbers if numbers.contains(&1) => reply(400),
        _ => reply(200),
    });
    let answers = deliver(&mut sink(&batches(&server, 8)), &numbers(8));
    let classes: Vec<_> = answers.iter().map(|answer| class_of(answer).0).collect();
    let (good, later) = ("delivered", "http_503");
    assert_eq!(classes, [good, "http_400", good, good, later, later, later, later]);
}

#[test]
fn a_refusal_that_no_event_is_to_blame_for_costs_one_call() {
    for status in [302, 401, 405, 407] {
        let server = Server::start(move |_| reply(status));
        let answers = deliver(&mut sink(&batches(&server, 100)), &numbers(100));
        let class = format!("http_{status}");
        assert_eq!(counts(&answers), [(class.as_str(), 100)].into());
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}
