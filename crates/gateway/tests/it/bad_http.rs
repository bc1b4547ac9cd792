//! HTTP that isn't, and requests that name nothing that is served.

use std::io::Write;

use crate::kit::{Reply, World, is_closed};

#[test]
fn what_is_not_http_is_answered_with_400_or_closed() {
    let world = World::start();
    for bad in [
        &b"hello\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nho st: x\r\n\r\n",
    ] {
        let mut stream = world.connect();
        stream.write_all(bad).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let reply = Reply::read(&mut stream);
        assert!([0, 400].contains(&reply.status), "{:?}: {reply:?}", String::from_utf8_lossy(bad));
        assert!(is_closed(&mut stream));
    }
    world.assert_serves();
}

#[test]
fn broken_chunks_are_answered_with_400() {
    let world = World::start();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost:{}\r\nx-amz-target: AmazonSQS.ListQueues\r\n\
         transfer-encoding: chunked\r\n\r\n",
        world.port
    );
    for bad in ["zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}xx0\r\n\r\n", "fffffffffffffffff\r\n{}\r\n"] {
        let reply = world.raw(format!("{head}{bad}"));
        assert_eq!(reply.status, 400, "{bad:?}: {reply:?}");
        assert_eq!(reply.error(), "SerializationException");
    }
    let reply = world.raw(format!("{head}1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\n"));
    assert_eq!(reply.status, 200, "chunks that are whole: {reply:?}");
}

#[test]
fn a_client_that_goes_away_in_the_middle_disturbs_nobody() {
    let world = World::start();
    let call = world.post("AmazonSQS", "CreateQueue", r#"{"QueueName":"q"}"#);
    for end in (1..call.len()).step_by(7) {
        let mut stream = world.connect();
        stream.write_all(&call.as_bytes()[..end]).unwrap();
    }
    world.assert_serves();
    assert!(world.broker.queues().list().is_empty());
}

#[test]
fn what_is_not_an_action_says_so() {
    let world = World::start();
    let port = world.port;
    let get =
        |path: &str| world.raw(format!("GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"));
    assert_eq!((get("/hello").status, get("/hello").body.as_str()), (200, "hi"));
    assert_eq!(get("/hello?x=1").status, 200);
    assert_eq!(get("/nothing").status, 404);
    let put =
        world.raw(format!("PUT / HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(put.status, 405);
    let untargeted =
        format!("POST / HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 2\r\n\r\n{{}}");
    assert_eq!(world.raw(untargeted).error(), "MissingAction");
    let other = world.raw(world.post("DynamoDB_20120810", "ListTables", "{}"));
    assert_eq!(other.error(), "UnknownOperationException");
    assert!(other.body.contains("DynamoDB_20120810.ListTables"), "{other:?}");
}

#[test]
fn the_query_protocol_is_named_in_xml() {
    let world = World::start();
    let body = "Action=ListQueues&Version=2012-11-05";
    let reply = world.raw(format!(
        "POST / HTTP/1.1\r\nhost: localhost:{}\r\n\
         content-type: application/x-www-form-urlencoded; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
        world.port,
        body.len()
    ));
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("text/xml")));
    assert!(reply.body.contains("JSON 1.0"), "{reply:?}");
}

#[test]
fn several_requests_in_one_go_are_answered_in_order() {
    let world = World::start();
    let mut stream = world.connect();
    let one = world.post("AmazonSQS", "CreateQueue", r#"{"QueueName":"one"}"#);
    let two = world.post("AmazonSQS", "NoSuchThing", "{}");
    stream.write_all(format!("{one}{two}").as_bytes()).unwrap();
    let mut text = String::new();
    while !text.contains("NoSuchThing") {
        let mut piece = [0; 4096];
        let n = std::io::Read::read(&mut stream, &mut piece).unwrap();
        assert!(n > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    assert!(text.find("/one").unwrap() < text.find("NoSuchThing").unwrap());
}
