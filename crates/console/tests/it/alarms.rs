//! Alarms are raised once and are over once; metrics say what they say in Prometheus' words.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use broker::queues::QueueStatistics;
use console::alarms::{Alarm, AlarmKind, Alarms, Change, Thresholds};
use console::metrics;
use console::now::{Now, PipeNow, QueueNow, SourceNow, Written};
use console::webhook::Webhook;
use dedup::state::Imbalance;

fn thresholds() -> BTreeMap<String, Thresholds> {
    let app = Thresholds { lag_max: Duration::from_secs(60), rejected_max: 10 };
    [("app".to_owned(), app)].into()
}

fn pipe() -> PipeNow {
    PipeNow { name: "app".into(), phase: "running", ..PipeNow::default() }
}

fn now(pipe: PipeNow) -> Now {
    Now { at_ms: 1_793_520_000_000, pipes: vec![pipe], ..Now::default() }
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
    let dead = PipeNow { outcomes: [0, 0, 0, 0, 1, 0], ..pipe() };
    assert_eq!(raised_once(now(dead)), "dead_letters");
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
