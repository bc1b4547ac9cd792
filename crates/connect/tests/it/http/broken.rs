//! Receivers that are down, slow, or talk nonsense: the way there is at fault, not the event.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use connect::HttpOptions;
use event::sink::{Delivery, FailureKind};

use super::kit::{
    Answer, Server, answer, batch_of, class_of, counts, deliver, deliver_one, failure_of_one,
    numbers, raw_server, reply, sink,
};

fn unreachable(options: &HttpOptions) -> String {
    let failure = failure_of_one(options);
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    failure.class
}

fn nobody() -> HttpOptions {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    HttpOptions::new(format!("http://{}/", listener.local_addr().unwrap()))
}

#[test]
fn nobody_listens() {
    assert_eq!(unreachable(&nobody()), "connect");
    let no_such_name = HttpOptions::new("http://no-such-host.invalid/".into());
    assert_eq!(unreachable(&no_such_name), "connect");
}

#[test]
fn after_some_calls_without_an_answer_the_rest_of_a_wave_waits() {
    let mut options = nobody();
    options.connections_max = 1;
    let answers = deliver(&mut sink(&options), &numbers(20));
    assert_eq!(counts(&answers), [("connect", 3), ("not tried", 17)].into());
}

#[test]
fn an_answer_between_keeps_the_wave_going() {
    let server = Server::start(|seen| match seen.text().parse::<u64>().unwrap() % 3 {
        2 => reply(200),
        _ => Answer::Close(vec![]),
    });
    let mut options = server.options();
    options.connections_max = 1;
    options.idempotency_header = None;
    let answers = deliver(&mut sink(&options), &numbers(30));
    assert_eq!(counts(&answers), [("delivered", 10), ("reset", 20)].into());
}

#[test]
fn a_receiver_that_never_answers_costs_the_timeout_and_no_more() {
    let server = Server::start(|_| Answer::Never);
    let mut options = server.options();
    options.timeout = Duration::from_millis(150);
    let begun = Instant::now();
    assert_eq!(unreachable(&options), "timeout");
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
    assert!(server.seen().len() <= 1, "it isn't called again");
}

#[test]
fn a_slow_answer_counts_as_a_whole() {
    let whole = answer(200, "", "");
    let slow = whole.clone();
    let server = Server::start(move |_| Answer::Drip(slow.clone(), 20));
    let mut options = server.options();
    options.timeout = Duration::from_millis(150); // each byte is in time, all of them are not
    assert_eq!(unreachable(&options), "timeout");

    let server = Server::start(move |_| Answer::Drip(whole.clone(), 1));
    assert_eq!(deliver_one(&server.options()), Delivery::Delivered);
}

#[test]
fn a_connection_that_breaks_before_the_answer() {
    let reset = raw_server(|stream| {
        stream.peek(&mut [0]).unwrap(); // what it never reads makes the system send a reset
    });
    assert_eq!(unreachable(&HttpOptions::new(reset)), "reset");
    let closed = Server::start(|_| Answer::Close(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()));
    assert_eq!(unreachable(&closed.options()), "reset");
}

#[test]
fn an_answer_that_comes_before_the_call_was_heard_out_is_read() {
    let url = raw_server(|mut stream| {
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream.write_all(&answer(413, "", "too long")).unwrap();
        // Dropped with much of the body unread: the system sends a reset.
    });
    let mut options = HttpOptions::new(url);
    options.bytes_max = 64 << 20;
    let mut sink = sink(&options);
    let batch = batch_of([format!("\"{}\"", "x".repeat(32 << 20))]);
    for _ in 0..5 {
        let Delivery::Failed(failure) = deliver(&mut sink, &batch).remove(0) else { panic!() };
        let class = (failure.class.as_str(), failure.kind);
        assert_eq!(class, ("http_413", FailureKind::Deterministic), "{}", failure.message);
    }
}

#[test]
fn a_connection_that_breaks_after_the_yes_changes_nothing_unless_the_list_is_missing() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"failed\":[]".to_vec();
    let server = Server::start(move |_| Answer::Close(half.clone()));
    assert_eq!(deliver_one(&server.options()), Delivery::Delivered);
    let mut options = server.options();
    options.events_max = 10;
    options.failures = Some("$.failed".parse().unwrap());
    let answers = deliver(&mut sink(&options), &numbers(2));
    let reset = ("reset", Some(FailureKind::Unreachable));
    assert_eq!(answers.iter().map(class_of).collect::<Vec<_>>(), [reset, reset]);
}

#[test]
fn nonsense_instead_of_http() {
    for nonsense in [
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        b"\x16\x03\x01\x00\x00".to_vec(),
        b"HTTP/1.1 banana OK\r\n\r\n".to_vec(),
        answer(999, "", ""),
        [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 200 << 10], b"\r\n\r\n"].concat(),
        [b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(2000), b"\r\n".to_vec()].concat(),
    ] {
        let shown = String::from_utf8_lossy(&nonsense[..nonsense.len().min(20)]).into_owned();
        let url = raw_server(move |mut stream| {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(&nonsense);
            let _ = stream.read(&mut head); // not closed before it was read
        });
        let mut options = HttpOptions::new(url);
        options.timeout = Duration::from_secs(5);
        assert_eq!(unreachable(&options), "nonsense", "{shown}");
    }
}

#[test]
fn a_connection_that_was_closed_while_it_rested_is_not_used() {
    let server = Server::start(|_| Answer::Close(answer(200, "", ""))); // says nothing of closing
    let mut options = server.options();
    options.connections_max = 1;
    options.idempotency_header = None;
    let mut sink = sink(&options);
    for call in 0..5 {
        assert_eq!(deliver(&mut sink, &numbers(1)), [Delivery::Delivered]);
        assert_eq!(server.closed.recv().unwrap(), call);
    }
    assert_eq!(server.seen().len(), 5, "no call was made twice");
}

/// A receiver that closes the connection in the moment of its second call.
fn closes_in_the_same_moment() -> Server {
    let closed = AtomicBool::new(false);
    Server::start(move |seen| {
        if seen.call == 1 && !closed.swap(true, Ordering::SeqCst) {
            return Answer::Close(vec![]);
        }
        reply(200)
    })
}

#[test]
fn a_call_that_meets_the_closing_is_made_again_where_the_receiver_can_tell() {
    let server = closes_in_the_same_moment();
    let mut options = server.options();
    options.connections_max = 1;
    let mut sink = sink(&options);
    let batch = numbers(2);
    assert_eq!(deliver(&mut sink, &batch), [Delivery::Delivered, Delivery::Delivered]);
    let keys: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[1], keys[2], "under the same key");
}

#[test]
fn a_call_that_meets_the_closing_is_not_doubled_where_the_receiver_cant_tell() {
    let server = closes_in_the_same_moment();
    let mut options = server.options();
    options.connections_max = 1;
    options.idempotency_header = None;
    let answers = deliver(&mut sink(&options), &numbers(2));
    let reset = ("reset", Some(FailureKind::Unreachable));
    assert_eq!((&answers[0], class_of(&answers[1])), (&Delivery::Delivered, reset));
    assert_eq!(server.seen().len(), 2, "the pipe decides about the second try");
}

#[test]
fn a_new_connection_that_breaks_is_not_tried_twice() {
    let server = Arc::new(Server::start(|_| Answer::Close(vec![])));
    assert_eq!(unreachable(&server.options()), "reset");
    assert_eq!(server.seen().len(), 1);
}
