//! What a receiver answers, and what that means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connect::http::{HttpRequest, NotAnswered};
use connect::{HttpClient, HttpOptions};
use event::TestClock;
use event::sink::{Delivery, FailureKind};

use super::kit::{
    Answer, NOW_MS, Server, answer, deliver, deliver_one, deliver_some, failure_of_one, numbers,
    reply, reply_with, sink,
};

#[test]
fn a_call_carries_the_event_as_it_is() {
    let server = Server::start(|_| reply(204));
    let mut options = server.options();
    options.method = "PUT".into();
    options.headers = vec![("X-Team".into(), "blue".into())];
    assert_eq!(deliver_one(&options), Delivery::Delivered);
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.text()), ("PUT", "/events", "0"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-team"), Some("blue"));
    assert_eq!(seen.header("content-length"), Some("1"));
    assert!(seen.header("user-agent").unwrap().starts_with("onceflow/"));
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn statuses_are_final_or_may_change() {
    let next = Arc::new(AtomicUsize::new(0));
    let statuses = [200, 201, 299, 302, 400, 404, 408, 422, 425, 429, 500, 503, 599];
    let at = Arc::clone(&next);
    let server = Server::start(move |_| reply(statuses[at.fetch_add(1, Ordering::SeqCst)]));
    let mut sink = sink(&server.options());
    for status in statuses {
        let delivered = deliver(&mut sink, &numbers(1)).remove(0);
        let kind = match status {
            200..=299 => {
                assert_eq!(delivered, Delivery::Delivered, "{status}");
                continue;
            }
            408 | 425 | 429 | 500.. => FailureKind::Transient,
            _ => FailureKind::Deterministic,
        };
        let Delivery::Failed(failure) = delivered else { panic!("{status}: {delivered:?}") };
        assert_eq!((failure.kind, failure.class), (kind, format!("http_{status}")));
        assert!(failure.message.contains(&status.to_string()), "{}", failure.message);
    }
    assert_eq!(server.seen().len(), statuses.len(), "one call each");
    assert_eq!(server.connections(), 1, "all over one connection");
}

#[test]
fn retry_after_is_heeded_in_both_forms() {
    for (header, wait) in [
        ("retry-after: 7\r\n", Some(Duration::from_secs(7))),
        ("retry-after: Mon, 03 Nov 2025 10:00:30 GMT\r\n", Some(Duration::from_secs(30))),
        ("retry-after: 86400000\r\n", Some(Duration::from_secs(3600))),
        ("retry-after: tomorrow\r\n", None),
        ("", None),
    ] {
        let server = Server::start(move |_| Answer::Reply(answer(429, header, "slow down")));
        let failure = failure_of_one(&server.options());
        assert_eq!((failure.class.as_str(), failure.kind), ("http_429", FailureKind::Transient));
        assert_eq!(failure.retry_after, wait, "{header}");
        assert!(failure.message.contains("slow down"), "{}", failure.message);
    }
}

#[test]
fn a_receiver_that_fails_half_of_the_time_gets_every_event_once() {
    let calls = AtomicUsize::new(0);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let took = Arc::clone(&taken);
    let server = Server::start(move |seen| {
        if calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            return reply(500);
        }
        took.lock().unwrap().push(seen.text().parse::<u64>().unwrap());
        reply(200)
    });
    let mut sink = sink(&server.options());
    let batch = numbers(64);
    let mut left: Vec<u32> = (0..64).collect();
    let mut rounds = 0;
    while !left.is_empty() {
        let answers = deliver_some(&mut sink, &batch, &left, &Default::default());
        let failed = left.iter().zip(&answers).filter(|(_, a)| **a != Delivery::Delivered);
        left = failed.map(|(event, _)| *event).collect();
        rounds += 1;
        assert!(rounds < 100);
    }
    let mut taken = taken.lock().unwrap().clone();
    taken.sort_unstable();
    assert_eq!(taken, (0..64).collect::<Vec<_>>());
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Server::start(|_| reply(200));
    let location = format!("location: {}\r\n", other.url());
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Server::start(move |_| Answer::Reply(answer(status, &location, "")));
        let mut options = server.options();
        options.auth = connect::HttpAuth::Bearer { token: "secret-token".into() };
        let failure = failure_of_one(&options);
        assert_eq!(failure.class, format!("http_{status}"));
        assert_eq!(failure.kind, FailureKind::Deterministic);
    }
    assert_eq!(other.seen().len(), 0, "nobody else hears of it");
}

#[test]
fn a_huge_answer_is_read_no_further_than_it_has_to() {
    let endless = |status: u16| {
        let head = format!("HTTP/1.1 {status} Status\r\nconnection: close\r\n\r\n");
        Server::forgetful(move |_| Answer::Endless([head.as_bytes(), &[b'x'; 4096]].concat()))
    };
    assert_eq!(deliver_one(&endless(200).options()), Delivery::Delivered);
    let failure = failure_of_one(&endless(400).options());
    assert_eq!(failure.class, "http_400");
    assert!(failure.message.len() < 1000);

    let server = Server::start(|_| reply_with(200, &"x".repeat(1 << 20)));
    let clock = Arc::new(TestClock::new(NOW_MS));
    let client = HttpClient::new(&server.options(), clock).unwrap();
    let answer = client.call(&HttpRequest::json(b"1")).unwrap();
    assert_eq!(answer.body.unwrap_err().class, "nonsense", "who wants the body hears of it");
    let all = HttpRequest { answer_bytes_max: 1 << 20, ..HttpRequest::json(b"1") };
    assert_eq!(client.call(&all).unwrap().body.unwrap().len(), 1 << 20);
}

#[test]
fn options_that_cant_be_used_are_refused_by_name() {
    let refused = |change: &dyn Fn(&mut HttpOptions)| {
        let mut options = HttpOptions::new("http://127.0.0.1:1/path?token=hush-hush".into());
        change(&mut options);
        let error = HttpClient::new(&options, Arc::new(TestClock::new(0))).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains("hush"), "{text}");
        text
    };
    assert!(refused(&|o| o.url = "ftp://host/hush".into()).contains("http://"));
    assert!(refused(&|o| o.url = "http://me:hush@host/".into()).contains("auth"));
    assert!(refused(&|o| o.url = "not a url, hush".into()).contains("it isn't one"));
    assert!(refused(&|o| o.method = "GET".into()).contains("POST"));
    assert!(refused(&|o| o.headers.push(("a b".into(), "x".into()))).contains("a b"));
    assert!(refused(&|o| o.headers.push(("x".into(), "hush\r\nb: 1".into()))).contains("`x`"));
    assert!(refused(&|o| o.ca_file = Some("no/such/file.pem".into())).contains("no/such"));
}

#[test]
fn a_client_says_who_failed_without_what_may_be_secret() {
    let server = Server::start(|seen| reply_with(403, &format!("{} is unknown", seen.path)));
    let mut options = server.options();
    options.url += "/hooks/T0KEN?key=hush";
    let client = HttpClient::new(&options, Arc::new(TestClock::new(0))).unwrap();
    let Err(NotAnswered::Failed(failure)) = client.call(&HttpRequest::json(b"1")) else { panic!() };
    assert!(failure.message.contains(&format!("http://127.0.0.1:{}", server.port())));
    assert!(!failure.message.contains("T0KEN") && !failure.message.contains("hush"));
    assert!(!format!("{client:?} {options:?}").contains("T0KEN"));
}
