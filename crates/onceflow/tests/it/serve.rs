//! `serve`: the front door, its pages, and how it ends.

use crate::kit::World;
use crate::served::{Sdk, Served};

const QUEUE_PIPE: &str = "pipe: app\n\
    source: { sqs: { queue: in } }\n\
    envelope: { type: $.type }\n\
    dedup: { key: $.id, window: 1h }\n\
    sink: { file: { path: out.ndjson } }\n";

#[test]
fn pages_say_how_it_stands_and_sigterm_ends_it_in_order() {
    let world = World::new();
    world.write("app.yaml", QUEUE_PIPE);
    let served = Served::start(&world, &["app.yaml"]);
    served.wait_until("ready", |served| served.page("/readyz").0 == 200);
    assert_eq!(served.page("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(served.page("/alarms"), (200, "[]".to_owned()));
    assert_eq!(served.page("/nothing").0, 404);
    let sdk = Sdk::new(&served);
    let queue = sdk.queue_url("in");
    for id in [1, 2, 1] {
        sdk.send(&queue, &format!("{{\"id\":{id},\"type\":\"a\"}}")).unwrap();
    }
    served.wait_until("settled", |served| {
        served.outcome("app", "delivered") == 2 && served.outcome("app", "duplicate") == 1
    });
    let typed = "onceflow_type_events_total{pipe=\"app\",type=\"a\",outcome=\"delivered\"}";
    assert_eq!(served.metric(typed), 2.0);
    assert_eq!(served.metric("onceflow_keys{scope=\"app\"}"), 2.0);
    served.wait_until("deleted", |served| {
        served.metric("onceflow_queue_messages_total{queue=\"in\",what=\"deleted\"}") == 3.0
    });
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("app: 3 received = 2 delivered + 1 duplicate"), "{said}");
    let report = world.ok(&["report", "app.yaml"]).stdout;
    assert!(report.contains("| in    |"), "the queue is in it: {report}");
}

#[test]
fn p8_a_listener_beyond_loopback_is_refused() {
    let world = World::new();
    world.run(&["serve", "--listen", "0.0.0.0:0"]).expect(2, &["loopback"]);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let world = World::new();
    let served = Served::start(&world, &[]);
    let at = served.at.to_string();
    let ended = World::new().run(&["serve", "--listen", &at]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains(&at), "{ended:?}");
}

#[test]
fn a_queue_that_is_deleted_under_a_pipe_stops_that_pipe_alone() {
    let world = World::new();
    let second = QUEUE_PIPE.replace("pipe: app", "pipe: other").replace("queue: in", "queue: else");
    world.write("app.yaml", format!("{QUEUE_PIPE}---\n{}", second.replace("out.nd", "out2.nd")));
    let served = Served::start(&world, &["app.yaml"]);
    served.wait_until("ready", |served| served.page("/readyz").0 == 200);
    let sdk = Sdk::new(&served);
    sdk.delete_queue(&sdk.queue_url("in"));
    served.wait_until("not ready", |served| served.page("/readyz").0 == 503);
    let (_, why) = served.page("/readyz");
    assert!(why.contains("pipe app: failed") && why.contains("`in`"), "{why}");
    served.wait_until("alarm", |served| served.page("/alarms").1.contains("pipe_failed"));
    let queue = sdk.queue_url("else");
    sdk.send(&queue, "{\"id\":1,\"type\":\"a\"}").unwrap();
    served.wait_until("the other goes on", |served| served.outcome("other", "delivered") == 1);
    let (code, said) = served.stop();
    assert_eq!(code, 4, "{said}");
}

#[test]
fn a_pipe_behind_an_endpoint_names_the_queue_that_is_missing_and_those_that_are_there() {
    let world = World::new();
    let served = Served::start(&world, &[]);
    Sdk::new(&served).create_queue("orders", &[]);
    let endpoint = format!("queue: in, endpoint: {}", served.endpoint());
    let reader = World::new();
    reader.write("app.yaml", QUEUE_PIPE.replace("queue: in", &endpoint));
    let ended = reader.run(&["run", "app.yaml"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stderr.contains("`in`") && ended.stderr.contains("orders"), "{ended:?}");
}

/// Another `serve` reads the queue over HTTP and delivers into a queue of its own.
#[test]
fn p2_a_pipe_behind_an_endpoint_hands_on_each_event_once() {
    let world = World::new();
    let first = Served::start(&world, &[]);
    let sdk = Sdk::new(&first);
    sdk.create_queue("in", &[]);
    let queue = sdk.queue_url("in");
    let reader = World::new();
    let endpoint = format!("queue: in, endpoint: {}", first.endpoint());
    let pipe = QUEUE_PIPE
        .replace("queue: in", &endpoint)
        .replace("file: { path: out.ndjson }", "sqs: { queue: clean }");
    reader.write("app.yaml", pipe);
    let second = Served::start(&reader, &["app.yaml"]);
    for id in [1, 2, 1, 3] {
        sdk.send(&queue, &format!("{{\"id\":{id},\"type\":\"a\"}}")).unwrap();
    }
    second.wait_until("settled", |served| {
        served.outcome("app", "delivered") == 3 && served.outcome("app", "duplicate") == 1
    });
    let clean = |what: &str| {
        second.metric(&format!("onceflow_queue_messages_total{{queue=\"clean\",what=\"{what}\"}}"))
    };
    assert_eq!(clean("sent"), 3.0);
    first.wait_until("deleted at the first", |served| {
        served.metric("onceflow_queue_messages_total{queue=\"in\",what=\"deleted\"}") == 4.0
    });
    assert_eq!(second.stop().0, 0);
    assert_eq!(first.stop().0, 0);
}
