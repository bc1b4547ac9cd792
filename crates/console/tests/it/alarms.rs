//! Alarms are raised once and are over once; metrics say what they say in Prometheus' words.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use broker::queues::QueueStatistics;
use console::alarms::{Alarm, AlarmKind, Alarms, Change, Thresholds};
use console::delivery::{DeadStoreNow, DeliveryNow, SinkNow};
use console::metrics;
use console::now::{Now, PipeNow, QueueNow, SourceNow, Written};
use console::webhook::Webhook;
use dedup::state::Imbalance;

fn thresholds() -> BTreeMap<String, Thresholds> {
    let app = Thresholds {
        lag_max: Duration::from_secs(60),
        rejected_max: 10,
        dead_letters_max: 100,
        parked_bytes_max: 1000,
    };
    [("app".to_owned(), app)].into()
}

fn pipe() -> PipeNow {
    PipeNow { name: "app".into(), phase: "running", ..PipeNow::default() }
}

fn now(pipe: PipeNow) -> Now {
    Now { at_ms: 1_793_520_000_000, pipes: vec![pipe], ..Now::default() }
}

fn with_sink(down_since_ms: Option<i64>) -> DeliveryNow {
    let sink = SinkNow {
        sink: "payments".into(),
        attempts: 9,
        failures: 4,
        retries: 3,
        delivered: 5,
        dead: 1,
        circuit: if down_since_ms.is_some() { "open" } else { "closed" }.into(),
        down_since_ms,
        last_error: Some("connection refused".into()),
    };
    DeliveryNow { sinks: vec![sink], ..DeliveryNow::default() }
}

fn kinds(changes: &[Change]) -> Vec<(&str, &str)> {
    let word = |change: &Change| match change {
        Change::Raised(alarm) => ("raised", alarm.kind.name()),
        Change::Over(alarm) => ("over", alarm.kind.name()),
    };
    changes.iter().map(word).collect()
}

/// Looks twice at `bad`, then at a pipe that is well.
fn raised_once(bad: Now) -> &'static str {
    let mut alarms = Alarms::new(thresholds());
    let changes = alarms.look(&bad);
    let [Change::Raised(alarm)] = &changes[..] else { panic!("{changes:?}") };
    let kind = alarm.kind.name();
    assert_eq!(alarms.standing().count(), 1);
    assert_eq!(alarms.look(&bad), [], "{kind} stands already");
    assert_eq!(kinds(&alarms.look(&now(pipe()))), [("over", kind)]);
    kind
}

#[test]
fn each_alarm_is_raised_once_and_over_once() {
    let source = |behind_ms, retention_ms| {
        let source = SourceNow { behind_ms, retention_ms, ..SourceNow::default() };
        now(PipeNow { source: Some(source), ..pipe() })
    };
    assert_eq!(raised_once(source(60_001, 0)), "lag");
    assert_eq!(raised_once(source(50_000, 100_000)), "retention");
    assert_eq!(raised_once(now(PipeNow { expired: 1, ..pipe() })), "retention");
    assert_eq!(raised_once(now(PipeNow { rejected_last_hour: 11, ..pipe() })), "rejected");
    let delivery = |delivery| now(PipeNow { delivery, ..pipe() });
    let dead = DeliveryNow { dead_last_hour: 1, ..DeliveryNow::default() };
    assert_eq!(raised_once(delivery(dead)), "dead_letters");
    let full = DeliveryNow { letters_open: 80, ..DeliveryNow::default() };
    assert_eq!(raised_once(delivery(full)), "dead_letters_full");
    let parked = DeliveryNow { parked_bytes: 800, ..DeliveryNow::default() };
    assert_eq!(raised_once(delivery(parked)), "parked");
    let paused = DeliveryNow { paused: Some(("no room".into(), 0)), ..DeliveryNow::default() };
    assert_eq!(raised_once(delivery(paused)), "pipe_paused");
    assert_eq!(raised_once(delivery(with_sink(Some(0)))), "circuit_open");
    let store = DeadStoreNow { path: "dead".into(), bytes: 8, bytes_max: 10 };
    assert_eq!(raised_once(Now { dead_stores: vec![store], ..now(pipe()) }), "dead_letters_full");
    let failed = PipeNow { phase: "failed", failure: Some("disk".into()), ..pipe() };
    assert_eq!(raised_once(now(failed)), "pipe_failed");
    let imbalance = Imbalance {
        pipe: "app".into(),
        source: "sqs:q".into(),
        start_ms: 0,
        minutes: 1,
        received: 3,
        accounted: 2,
        batch: event::BatchNumber(7),
    };
    assert_eq!(raised_once(Now { imbalances: vec![imbalance], ..now(pipe()) }), "imbalance");
    assert_eq!(raised_once(Now { disk: Some((1 << 30, 1 << 40)), ..now(pipe()) }), "storage");
    let written = Written { pipe: "app".into(), bytes: 11, bytes_max: 10 };
    assert_eq!(raised_once(Now { written: vec![written], ..now(pipe()) }), "storage");
    let old = QueueStatistics { oldest_sent_ms: Some(1_793_519_000_000), ..Default::default() };
    let queue = QueueNow { name: "q".into(), retention_ms: 2_000_000, statistics: old };
    assert_eq!(raised_once(Now { queues: vec![queue], ..now(pipe()) }), "retention");
}

#[test]
fn what_is_well_is_no_alarm() {
    let mut alarms = Alarms::new(thresholds());
    let source = SourceNow { behind_ms: 60_000, retention_ms: 120_002, ..SourceNow::default() };
    let mut well = now(PipeNow { rejected_last_hour: 10, source: Some(source), ..pipe() });
    well.disk = Some((30 << 30, 1 << 50));
    well.written = vec![Written { pipe: "app".into(), bytes: 10, bytes_max: 10 }];
    well.dead_stores = vec![DeadStoreNow { path: "dead".into(), bytes: 7, bytes_max: 10 }];
    // An old dead letter is no news, and a sink that failed before is up.
    well.pipes[0].delivery = DeliveryNow { letters_open: 79, parked_bytes: 799, ..with_sink(None) };
    well.pipes[0].outcomes = [0, 0, 0, 0, 1, 0];
    assert_eq!(alarms.look(&well), []);
}

#[test]
fn failing_calls_are_an_alarm_while_they_fail() {
    let errors = |errors| {
        let source =
            SourceNow { errors, last_error: Some("refused".into()), ..SourceNow::default() };
        now(PipeNow { source: Some(source), ..pipe() })
    };
    let mut alarms = Alarms::new(thresholds());
    assert_eq!(kinds(&alarms.look(&errors(1))), [("raised", "source")]);
    assert_eq!(kinds(&alarms.look(&errors(2))), []);
    assert_eq!(kinds(&alarms.look(&errors(2))), [("over", "source")]);
}

#[test]
fn a_webhook_is_told_even_if_its_first_answer_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alarm", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for answer in ["503 Service Unavailable", "204 No Content"] {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = BufReader::new(client.try_clone().unwrap());
            let (mut line, mut bytes) = (String::new(), 0);
            while line != "\r\n" {
                line.clear();
                request.read_line(&mut line).unwrap();
                if let Some(length) = line.to_lowercase().strip_prefix("content-length: ") {
                    bytes = length.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; bytes];
            request.read_exact(&mut body).unwrap();
            bodies.push(String::from_utf8(body).unwrap());
            write!(client, "HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        }
        bodies
    });
    let webhook = Webhook::start(url).unwrap();
    let alarm = Alarm {
        kind: AlarmKind::Lag,
        of: "app".into(),
        what: "far behind".into(),
        batch: None,
        since_ms: 1_793_520_000_000,
    };
    webhook.tell(&Change::Raised(alarm));
    let bodies = server.join().unwrap();
    assert_eq!(bodies[0], bodies[1]);
    let body: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(body["state"], "raised");
    assert_eq!((body["kind"].as_str(), body["of"].as_str()), (Some("lag"), Some("app")));
    assert_eq!(body["since"], "2026-11-01T08:00:00Z");
}

#[test]
fn the_metrics_page_has_one_announcement_and_unique_samples_per_family() {
    let mut pipe = pipe();
    pipe.received.push(("sqs:q".into(), 7));
    pipe.types.insert("a\"b".into(), [3, 4, 0, 0, 0, 0]);
    pipe.unpublished.push(("lake".into(), 1));
    pipe.source = Some(SourceNow::default());
    let mut now = now(pipe);
    now.keys_live.push(("app".into(), 5));
    let statistics = QueueStatistics { visible: 9, ..QueueStatistics::default() };
    now.queues.push(QueueNow { name: "q".into(), retention_ms: 1, statistics });
    let page = metrics::page(&now, "1");
    let mut seen = std::collections::HashSet::new();
    let mut family = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(seen.insert(format!("# {family}")), "{family} is announced twice");
            let counter = rest.ends_with(" counter");
            assert_eq!(counter, family.ends_with("_total"), "{rest}");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(sample == family || sample.starts_with(&format!("{family}{{")), "{line}");
            assert!(seen.insert(sample.to_owned()), "{sample} is there twice");
            value.parse::<f64>().unwrap();
        }
    }
    for wanted in [
        "onceflow_events_received_total{pipe=\"app\",source=\"sqs:q\"} 7",
        "onceflow_type_events_total{pipe=\"app\",type=\"a\\\"b\",outcome=\"duplicate\"} 4",
        "onceflow_queue_messages{queue=\"q\",state=\"visible\"} 9",
        "onceflow_keys{scope=\"app\"} 5",
    ] {
        assert!(page.lines().any(|line| line == wanted), "{wanted} isn't in\n{page}");
    }
}

fn said(bad: &Now) -> Alarm {
    let changes = Alarms::new(thresholds()).look(bad);
    let [Change::Raised(alarm)] = &changes[..] else { panic!("{changes:?}") };
    alarm.clone()
}

#[test]
fn a_sink_that_is_down_is_named_with_its_error_and_since_when() {
    let down = now(PipeNow { delivery: with_sink(Some(1_793_520_000_000)), ..pipe() });
    let what = said(&down).what;
    for part in ["sink payments", "2026-11-01T08:00:00Z", "connection refused"] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn a_pause_for_a_sink_that_is_down_is_told_once() {
    let down = |why: &str| {
        let mut delivery = with_sink(Some(0));
        delivery.paused = Some((why.to_owned(), 0));
        Alarms::new(thresholds()).look(&now(PipeNow { delivery, ..pipe() }))
    };
    assert_eq!(kinds(&down("sink `payments` is down: 503")), [("raised", "circuit_open")]);
    let both = [("raised", "pipe_paused"), ("raised", "circuit_open")];
    assert_eq!(kinds(&down("no room on the disk")), both);
}

#[test]
fn deaths_are_told_with_their_rate_and_the_commonest_classes() {
    let mut delivery =
        DeliveryNow { dead_last_hour: 12, dead_recently: 3, letters_open: 7, ..Default::default() };
    for class in 0..7_u64 {
        delivery.dead_by_class.insert(format!("http_40{class}"), class + 1);
    }
    let what = said(&now(PipeNow { delivery, ..pipe() })).what;
    assert_eq!(
        what,
        "12 events died in the last hour, 3 in the last 5 minutes; since the start: http_406 7, \
         http_405 6, http_404 5, http_403 4, http_402 3 and 2 more classes; 7 letters open: \
         `onceflow dead list` shows them"
    );
}

#[test]
fn p4_an_imbalance_is_told_with_the_batch_that_broke_it_first() {
    let imbalance = |batch, start_ms| Imbalance {
        pipe: "app".into(),
        source: "sqs:q".into(),
        start_ms,
        minutes: 1,
        received: 3,
        accounted: 2,
        batch: event::BatchNumber(batch),
    };
    // An unknown batch (0) is no earlier one.
    let imbalances = vec![imbalance(0, 0), imbalance(9, 60_000), imbalance(7, 120_000)];
    let alarm = said(&Now { imbalances, ..now(pipe()) });
    assert_eq!(alarm.batch, Some(7));
    assert!(alarm.what.starts_with("since batch 7, source sqs:q: 3 events"), "{}", alarm.what);
    assert!(alarm.what.contains("from 1970-01-01T00:02:00Z"), "{}", alarm.what);
    assert!(alarm.what.contains("2 more"), "{}", alarm.what);
    let json = serde_json::to_value(&alarm).unwrap();
    assert_eq!(json["batch"], 7);
    let unknown = said(&Now { imbalances: vec![imbalance(0, 0)], ..now(pipe()) });
    assert!(serde_json::to_value(&unknown).unwrap().get("batch").is_none());
    assert!(unknown.what.starts_with("source sqs:q"), "{}", unknown.what);
}

#[test]
fn metrics_say_how_deliveries_are() {
    let mut delivery = with_sink(Some(5));
    delivery.unsettled_events = 3;
    delivery.parked_bytes = 17;
    delivery.letters_open = 2;
    delivery.paused = Some(("down".into(), 0));
    delivery.dead_by_class.insert("http_404".into(), 4);
    let store = DeadStoreNow { path: "/d/dead".into(), bytes: 8, bytes_max: 10 };
    delivery.sinks.push(SinkNow { sink: "lake".into(), ..SinkNow::default() });
    let now = Now { dead_stores: vec![store], ..now(PipeNow { delivery, ..pipe() }) };
    let page = metrics::page(&now, "0.0.0");
    for line in [
        "onceflow_sink_attempts_total{pipe=\"app\",sink=\"payments\"} 9",
        "onceflow_sink_failures_total{pipe=\"app\",sink=\"payments\"} 4",
        "onceflow_sink_retries_total{pipe=\"app\",sink=\"payments\"} 3",
        "onceflow_sink_delivered_total{pipe=\"app\",sink=\"payments\"} 5",
        "onceflow_sink_dead_total{pipe=\"app\",sink=\"payments\"} 1",
        "onceflow_sink_circuit{pipe=\"app\",sink=\"payments\",state=\"closed\"} 0",
        "onceflow_sink_circuit{pipe=\"app\",sink=\"payments\",state=\"open\"} 1",
        "onceflow_unsettled_events{pipe=\"app\"} 3",
        "onceflow_parked_bytes{pipe=\"app\"} 17",
        "onceflow_pipe_paused{pipe=\"app\"} 1",
        "onceflow_dead_letters_open{pipe=\"app\"} 2",
        "onceflow_dead_events_total{pipe=\"app\",class=\"http_404\"} 4",
        "onceflow_dead_letter_store_bytes{store=\"/d/dead\"} 8",
        "onceflow_dead_letter_store_bytes_max{store=\"/d/dead\"} 10",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!page.contains("connection refused"), "what a receiver says is no label");
    assert!(!page.contains("lake"), "a sink that takes batches has no attempts");
}
