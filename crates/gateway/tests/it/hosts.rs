//! P8: only this machine, and no web page.

use std::sync::Arc;

use gateway::{Gateway, GatewayError, NoPages};

use crate::kit::{World, options};

#[test]
fn p8_a_listener_that_is_not_on_loopback_is_refused() {
    let world = World::start();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let mut options = options();
        options.listen = address.parse().unwrap();
        let refused = Gateway::bind(
            options,
            Arc::clone(&world.broker),
            Arc::new(event::SystemClock),
            Arc::new(NoPages),
        );
        match refused {
            Err(error @ GatewayError::NotLoopback { .. }) => {
                assert!(error.to_string().contains("not a loopback address"), "{error}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{address} was taken"),
        }
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let world = World::start();
    let mut options = options();
    options.listen.set_port(world.port);
    let clock = Arc::new(event::SystemClock);
    let refused = Gateway::bind(options, Arc::clone(&world.broker), clock, Arc::new(NoPages));
    let Err(error) = refused else { panic!("two gateways on one port") };
    assert!(error.to_string().contains(&format!("127.0.0.1:{}", world.port)), "{error}");
}

#[test]
fn p8_a_web_page_can_not_post() {
    let world = World::start();
    let call = world.post("AmazonSQS", "CreateQueue", r#"{"QueueName":"q"}"#);
    let with_origin = call.replacen("\r\n", "\r\norigin: http://evil.test\r\n", 1);
    let own_origin = call.replacen("\r\n", &format!("\r\norigin: {}\r\n", world.url()), 1);
    let other_host = call.replace("host: localhost", "host: evil.test");
    let other_port = call.replace(&format!("host: localhost:{}", world.port), "host: localhost:1");
    let no_port = call.replace(&format!("host: localhost:{}", world.port), "host: localhost");
    for bad in [with_origin, own_origin, other_host, other_port, no_port] {
        let reply = world.raw(&bad);
        assert_eq!(reply.status, 403, "{bad}\n{reply:?}");
        assert!(reply.body.contains("refused"), "{reply:?}");
    }
    let none = call.replace(&format!("host: localhost:{}\r\n", world.port), "");
    assert_eq!(world.raw(none).status, 400);
    assert!(world.broker.queues().list().is_empty(), "nothing of it was applied");
    assert_eq!(world.raw(call).status, 200);
    let page = format!("GET /hello HTTP/1.1\r\nhost: evil.test:{}\r\n\r\n", world.port);
    assert_eq!(world.raw(page).status, 403);
}

#[test]
fn p8_names_of_the_config_are_allowed() {
    let mut options = options();
    options.host_names.push("broker.test".into());
    let world = World::with(options);
    let call = world.post("AmazonSQS", "CreateQueue", r#"{"QueueName":"q"}"#);
    let reply = world.raw(call.replace("localhost", "broker.test"));
    let url = format!("http://broker.test:{}/000000000000/q", world.port);
    assert_eq!(reply.ok()["QueueUrl"], url, "queue URLs name the host that was asked");
}

#[test]
fn p8_http2_names_its_host_in_authority() {
    let world = World::start();
    for (host, status) in [("localhost", 200), ("127.0.0.1", 200), ("evil.test", 403)] {
        let authority = format!("{host}:{}", world.port);
        assert_eq!(h2(&world, &authority, None), status, "{authority}");
    }
    let authority = format!("localhost:{}", world.port);
    assert_eq!(h2(&world, &authority, Some("http://evil.test")), 403);
}

/// The status of a GET over HTTP/2 with prior knowledge.
fn h2(world: &World, authority: &str, origin: Option<&str>) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
        let executor = hyper_util::rt::TokioExecutor::new();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::get(format!("http://{authority}/hello"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let body = http_body_util::Empty::<bytes::Bytes>::new();
        let response = client.send_request(request.body(body).unwrap()).await.unwrap();
        connection.abort();
        response.status().as_u16()
    })
}
