//! Who calls, and that secrets stay secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use connect::{HttpAuth, HttpOptions};
use event::sink::{Delivery, FailureKind};

use super::kit::{
    NOW_MS, Seen, Server, deliver, deliver_one, failure_of_one, numbers, reply, reply_with, sink,
};

fn seen_with(auth: HttpAuth) -> Seen {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    options.auth = auth;
    assert_eq!(deliver_one(&options), Delivery::Delivered);
    server.seen().remove(0)
}

#[test]
fn basic_bearer_and_api_key_are_sent() {
    let seen =
        seen_with(HttpAuth::Basic { user: "Aladdin".into(), password: "open sesame".into() });
    assert_eq!(seen.header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    let seen = seen_with(HttpAuth::Bearer { token: "t0ken".into() });
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    let seen = seen_with(HttpAuth::ApiKey { header: "X-Api-Key".into(), value: "k3y".into() });
    assert_eq!(seen.header("x-api-key"), Some("k3y"));
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn the_receiver_can_check_the_signature() {
    let auth = HttpAuth::Hmac { header: "X-Signature".into(), secret: "whsec-1".into() };
    let seen = seen_with(auth);
    let value = seen.header("x-signature").unwrap();
    let (time, signature) = value.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(time.parse::<i64>().unwrap(), NOW_MS / 1000);
    let signed = [time.as_bytes(), b".", &seen.body].concat();
    let bytes: Vec<u8> = (0..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap())
        .collect();
    let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    assert!(hmac::verify(&key("whsec-1"), &signed, &bytes).is_ok());
    assert!(hmac::verify(&key("whsec-2"), &signed, &bytes).is_err());
    assert_eq!(signature, signature.to_lowercase());
}

#[test]
fn a_batch_is_signed_as_a_whole() {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    options.events_max = 10;
    options.auth = HttpAuth::Hmac { header: "X-Signature".into(), secret: "whsec-1".into() };
    deliver(&mut sink(&options), &numbers(3));
    let seen = server.seen().remove(0);
    let value = seen.header("x-signature").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec-1");
    let signed = hmac::sign(&key, format!("{}.[0,1,2]", NOW_MS / 1000).as_bytes());
    let hex: String = signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(value.ends_with(&hex), "{value}");
}

/// A receiver that gives tokens `token-1`, `token-2`, … and takes only the one that `valid` says.
fn with_tokens(valid: &'static AtomicUsize, expires_s: u64) -> Server {
    let given = AtomicUsize::new(0);
    Server::start(move |seen| {
        if seen.path == "/token" {
            assert_eq!(seen.text(), "grant_type=client_credentials&scope=events%2Ewrite");
            // me%2Fyou:s%2Bcret
            let basic = "Basic bWUlMkZ5b3U6cyUyQmNyZXQ=";
            assert_eq!(seen.header("authorization"), Some(basic));
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            return reply_with(
                200,
                &format!(
                    r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{expires_s}}}"#
                ),
            );
        }
        let wanted = format!("Bearer token-{}", valid.load(Ordering::SeqCst));
        reply(if seen.header("authorization") == Some(&wanted) { 200 } else { 401 })
    })
}

fn oauth(server: &Server) -> HttpOptions {
    let mut options = server.options();
    options.auth = HttpAuth::OAuth {
        token_url: server.url().replace("/events", "/token"),
        client_id: "me/you".into(),
        client_secret: "s+cret".into(),
        scope: Some("events.write".into()),
    };
    options
}

fn paths(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.path).collect()
}

#[test]
fn a_token_is_kept_and_asked_for_again_after_a_401() {
    static VALID: AtomicUsize = AtomicUsize::new(1);
    let server = with_tokens(&VALID, 3600);
    let mut options = oauth(&server);
    options.connections_max = 1;
    let mut sink = sink(&options);
    assert_eq!(deliver(&mut sink, &numbers(2)), vec![Delivery::Delivered; 2]);
    assert_eq!(paths(&server), ["/token", "/events", "/events"]);
    VALID.store(2, Ordering::SeqCst);
    assert_eq!(deliver(&mut sink, &numbers(2)), vec![Delivery::Delivered; 2]);
    assert_eq!(paths(&server)[3..], ["/events", "/token", "/events", "/events"]);

    VALID.store(99, Ordering::SeqCst);
    let Delivery::Failed(failure) = deliver(&mut sink, &numbers(1)).remove(0) else { panic!() };
    assert_eq!((failure.class.as_str(), failure.kind), ("http_401", FailureKind::Deterministic));
    assert_eq!(paths(&server)[7..], ["/events", "/token", "/events"], "once, not for ever");
}

#[test]
fn a_token_that_expires_at_once_is_asked_for_each_time() {
    static VALID: AtomicUsize = AtomicUsize::new(1);
    let server = with_tokens(&VALID, 0);
    let mut options = oauth(&server);
    options.connections_max = 1;
    let mut sink = sink(&options);
    assert_eq!(deliver(&mut sink, &numbers(1)), [Delivery::Delivered]);
    VALID.store(2, Ordering::SeqCst);
    assert_eq!(deliver(&mut sink, &numbers(1)), [Delivery::Delivered]);
    assert_eq!(paths(&server), ["/token", "/events", "/token", "/events"]);
}

#[test]
fn many_calls_at_once_share_one_token() {
    static VALID: AtomicUsize = AtomicUsize::new(1);
    let server = with_tokens(&VALID, 3600);
    let mut options = oauth(&server);
    options.connections_max = 16;
    assert_eq!(deliver(&mut sink(&options), &numbers(64)), vec![Delivery::Delivered; 64]);
    assert_eq!(paths(&server).iter().filter(|path| *path == "/token").count(), 1);
}

#[test]
fn a_token_endpoint_that_wants_the_client_in_the_form() {
    let server = Server::start(|seen| {
        if seen.path != "/token" {
            let known = seen.header("authorization") == Some("Bearer token-1");
            return reply(if known { 200 } else { 401 });
        }
        if seen.header("authorization").is_some() {
            return reply_with(401, r#"{"error":"invalid_client"}"#);
        }
        assert!(seen.text().ends_with("&client_id=me%2Fyou&client_secret=s%2Bcret"));
        reply_with(200, r#"{"access_token":"token-1","expires_in":0}"#)
    });
    let mut options = oauth(&server);
    options.connections_max = 1;
    let mut sink = sink(&options);
    assert_eq!(deliver(&mut sink, &numbers(2)), vec![Delivery::Delivered; 2]);
    let asked = ["/token", "/token", "/events", "/token", "/events"];
    assert_eq!(paths(&server), asked, "it is found out once");
}

#[test]
fn without_a_token_nothing_is_sent_and_it_may_go_well_later() {
    for (status, body, said) in [
        (500, "", "it answered 500"),
        (401, r#"{"error":"invalid_client"}"#, "it answered 401 (invalid_client)"),
        (200, "{}", "no bearer token"),
        (302, "", "it answered 302"),
    ] {
        let server = Server::start(move |_| reply_with(status, body));
        let failure = failure_of_one(&oauth(&server));
        assert_eq!((failure.class.as_str(), failure.kind), ("token", FailureKind::Transient));
        assert!(failure.message.contains(said), "{}", failure.message);
        assert!(paths(&server).iter().all(|path| path == "/token"));
    }
}

#[test]
fn secrets_are_neither_shown_nor_told() {
    let echo = Server::start(|seen| {
        if seen.path == "/token" {
            return reply_with(200, r#"{"access_token":"hush-token","expires_in":60}"#);
        }
        reply_with(400, &format!("{:?}", seen.headers))
    });
    let auths = [
        HttpAuth::Basic { user: "me".into(), password: "hush-password".into() },
        HttpAuth::Bearer { token: "hush-token".into() },
        HttpAuth::ApiKey { header: "x-api-key".into(), value: "hush-value".into() },
        HttpAuth::Hmac { header: "x-signature".into(), secret: "hush-secret".into() },
        HttpAuth::OAuth {
            token_url: echo.url().replace("/events", "/token"),
            client_id: "me".into(),
            client_secret: "hush-secret".into(),
            scope: None,
        },
    ];
    for auth in auths {
        let mut options = echo.options();
        options.headers = vec![("x-header".into(), "hush-header".into())];
        options.auth = auth;
        let failure = failure_of_one(&options);
        assert!(failure.message.contains("x-header"), "{}", failure.message);
        let shown = format!("{failure:?} {options:?}");
        assert!(!shown.contains("hush"), "{shown}");
        // bWU6aHVzaC1wYXNzd29yZA== is me:hush-password
        assert!(!shown.contains("bWU6"), "{shown}");
    }
    drop(Arc::new(echo));
}
