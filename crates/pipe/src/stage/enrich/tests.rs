//! Enrichment as a worker sees it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event::sink::{Failure, FailureKind};
use serde_json::{Value as Json, json};

use super::call::Caller;
use super::*;

fn path(path: &str) -> FieldPath {
    FieldPath::parse(path).unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(event::clock::TestClock::new(0))
}

fn enricher(all: Vec<One>) -> Enricher {
    Enricher::new(Arc::new(Enrichers { all }), Stop::default())
}

fn lookup(file: &Path, key: &str, on: &str, into: &str, missing: EnrichMissing) -> One {
    let table = Watched::new(file.to_owned(), on.to_owned(), 1000).unwrap().eager();
    One { from: From::Table { table, key: path(key) }, into: path(into), missing }
}

fn apply(enricher: &mut Enricher, payload: &str) -> Result<Option<String>, NotEnriched> {
    let mut out = b"before".to_vec();
    let applied = enricher.apply(payload.as_bytes(), &mut out);
    let text = String::from_utf8(out.split_off(6)).unwrap();
    match applied? {
        Applied::Same => {
            assert_eq!(text, "");
            Ok(None)
        }
        Applied::Appended => Ok(Some(text)),
    }
}

fn one(enricher: &mut Enricher, payload: &str) -> Result<Option<String>, NotEnriched> {
    enricher.collect(payload.as_bytes());
    enricher.fetch().unwrap();
    apply(enricher, payload)
}

fn fault(result: Result<Option<String>, NotEnriched>) -> EnrichFault {
    match result {
        Err(NotEnriched::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

const USERS: &str = "id,name,note\n7,Ada,\"says \"\"hi\"\",\nü\"\n008,Bob,\n9,Eve,x\n9,Eva,y\n";

#[test]
fn a_row_of_a_csv_table_goes_into_the_event() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    std::fs::write(&file, USERS).unwrap();
    let mut enricher = enricher(vec![lookup(&file, "$.user", "id", "$.who", EnrichMissing::Pass)]);
    for (payload, enriched) in [
        // By value: a number, the same otherwise, and text.
        (
            r#"{ "user" : 7 , "n": 1 }"#,
            Some(
                r#"{ "user" : 7 , "n": 1,"who":{"id":"7","name":"Ada","note":"says \"hi\",\nü"} }"#,
            ),
        ),
        (
            r#"{"user":7.0,"who":{"x":[1]},"n":1}"#,
            Some(r#"{"user":7.0,"who":{"id":"7","name":"Ada","note":"says \"hi\",\nü"},"n":1}"#),
        ),
        (
            r#"{"user":"00\u0038"}"#,
            Some(r#"{"user":"00\u0038","who":{"id":"008","name":"Bob","note":""}}"#),
        ),
        // The last of two rows with one key.
        (r#"{"user":9}"#, Some(r#"{"user":9,"who":{"id":"9","name":"Eva","note":"y"}}"#)),
        // Not there: numbers are numbers, zeros in front count.
        (r#"{"user":8}"#, None),
        (r#"{"user":"7.0"}"#, None),
        (r#"{"user":null}"#, None),
        (r#"{"user":[7]}"#, None),
        ("{}", None),
    ] {
        assert_eq!(one(&mut enricher, payload).unwrap().as_deref(), enriched, "{payload}");
    }
    assert_eq!(fault(one(&mut enricher, r#"{"user":7,"user":9}"#)).name, "json_ambiguous_field");
}

#[test]
fn a_line_of_an_ndjson_table_goes_in_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.ndjson");
    std::fs::write(&file, "{\"k\":1.0, \"v\":[1]}\n\n {\"v\":{},\"k\":\"1\"}\r\n{\"k\":true}")
        .unwrap();
    let mut enricher = enricher(vec![lookup(&file, "$.a.k", "k", "$.a.t", EnrichMissing::Reject)]);
    for (payload, enriched) in [
        (r#"{"a":{"k":1}}"#, r#"{"a":{"k":1,"t":{"k":1.0, "v":[1]}}}"#),
        (r#"{"a":{"k":"1"}}"#, r#"{"a":{"k":"1","t":{"v":{},"k":"1"}}}"#),
        (r#"{"a":{"t":0,"k":true}}"#, r#"{"a":{"t":{"k":true},"k":true}}"#),
    ] {
        assert_eq!(one(&mut enricher, payload).unwrap().as_deref(), Some(enriched));
    }
    let rejected = fault(one(&mut enricher, r#"{"a":{"k":"true"}}"#));
    assert_eq!(rejected.name, "enrich_missing");
    assert_eq!(rejected.to_string(), "enrich 1 into $.a.t: nothing is known of the value of $.a.k");
    let rejected = fault(one(&mut enricher, r#"{"a":5}"#));
    assert!(rejected.message.contains("$.a.k is missing"), "{rejected}");
}

#[test]
fn tables_that_are_wrong_are_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |name: &str, content: &[u8], on: &str, rows_max: u64, message: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let from = EnrichFrom::Lookup { file, key: path("$.k"), on: on.to_owned(), rows_max };
        let config = EnrichConfig { from, into: path("$.x"), missing: EnrichMissing::Pass };
        let error = Enrichers::new(&[config], &clock()).unwrap_err().to_string();
        assert!(error.starts_with("enrich 1: the table "), "{error}");
        assert!(error.contains(name) && error.contains(message), "{error}");
    };
    refuse("a.csv", b"a,b\n1,2\n", "c", 9, "no column `c`; there are a, b");
    refuse("b.csv", b"a,a\n1,2\n", "a", 9, "`a` stands in the header twice");
    refuse("c.csv", b"a,b\n1,2\n3\n", "a", 9, "line: 3");
    refuse("d.csv", b"a\n1\n2\n3\n", "a", 2, "more than 2 rows (rows_max)");
    refuse("e.csv", b"a\n\xff\n", "a", 2, "UTF-8");
    refuse("f.ndjson", b"{\"k\":1}\n{\"k\":}\n", "k", 9, "line 2: ");
    refuse("g.ndjson", b"{\"k\":1}\n{\"j\":1}\n", "k", 9, "line 2: `k` is missing");
    refuse("h.ndjson", b"{\"k\":null}\n", "k", 9, "line 1: `k` is missing");
    refuse("i.ndjson", b"{\"k\":1,\"k\":2}\n", "k", 9, "line 1: ");
    refuse("j.ndjson", b"[1]\n", "k", 9, "line 1: ");
    refuse("k.ndjson", b"{\"k\":1}\n{\"k\":2}\n", "k", 1, "more than 1 rows");
    let deep = format!("{{\"k\":1,\"d\":{}{}}}", "[".repeat(64), "]".repeat(64));
    refuse("l.ndjson", deep.as_bytes(), "k", 9, "more than 64 levels");
    let gone = EnrichFrom::Lookup {
        file: folder.path().join("gone.csv"),
        key: path("$.k"),
        on: "a".into(),
        rows_max: 9,
    };
    let config = EnrichConfig { from: gone, into: path("$.x"), missing: EnrichMissing::Pass };
    assert!(Enrichers::new(&[config], &clock()).is_err());
}

#[test]
fn a_changed_table_is_read_again_and_a_broken_one_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    std::fs::write(&file, "k,v\na,1\n").unwrap();
    let mut enricher = enricher(vec![lookup(&file, "$.k", "k", "$.v", EnrichMissing::Pass)]);
    let mut now = |expected: Option<&str>| {
        let enriched = one(&mut enricher, r#"{"k":"a"}"#).unwrap();
        let value = enriched.map(|text| serde_json::from_str::<Json>(&text).unwrap());
        let value = value.map(|json| json["v"]["v"].as_str().unwrap().to_owned());
        assert_eq!(value.as_deref(), expected);
    };
    now(Some("1"));
    std::fs::write(&file, "k,v\na,22\n").unwrap();
    now(Some("22"));
    std::fs::write(&file, "k,v\na,333,4\n").unwrap();
    now(Some("22"));
    std::fs::remove_file(&file).unwrap();
    now(Some("22"));
    std::fs::write(&file, "k,v\na,4444\n").unwrap();
    now(Some("4444"));
    std::fs::write(&file, "k,v\nb,55555\n").unwrap();
    now(None);
}

#[test]
fn a_batch_keeps_the_table_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    std::fs::write(&file, "k,v\na,1\n").unwrap();
    let mut enricher = enricher(vec![lookup(&file, "$.k", "k", "$.v", EnrichMissing::Pass)]);
    let first = one(&mut enricher, r#"{"k":"a"}"#).unwrap();
    std::fs::write(&file, "k,v\na,22\n").unwrap();
    assert_eq!(apply(&mut enricher, r#"{"k":"a"}"#).unwrap(), first);
    assert_ne!(one(&mut enricher, r#"{"k":"a"}"#).unwrap(), first);
}

/// Answers by a script: what a call gets for its values.
struct Script<F>(F, Arc<Mutex<Vec<Vec<Json>>>>);

impl<F> Caller for Script<F>
where
    F: Fn(usize, &[Json]) -> Result<Option<String>, Failure> + Send + Sync,
{
    fn call(&self, body: &[u8], _: &Stop) -> Result<Option<Vec<u8>>, Failure> {
        let values: Vec<Json> = serde_json::from_slice(body).unwrap();
        let call = {
            let mut calls = self.1.lock().unwrap();
            calls.push(values.clone());
            calls.len()
        };
        Ok((self.0)(call, &values)?.map(String::into_bytes))
    }
}

type Calls = Arc<Mutex<Vec<Vec<Json>>>>;

fn service(
    values_max: u64,
    cache_entries_max: u64,
    missing: EnrichMissing,
    script: impl Fn(usize, &[Json]) -> Result<Option<String>, Failure> + Send + Sync + 'static,
) -> (One, Calls) {
    let calls = Calls::default();
    let options = ServiceOptions {
        name: "http://service".into(),
        key: path("$.k"),
        values_max,
        bytes_max: 1000,
        connections_max: 1,
        cache_entries_max,
        cache_age_max: Duration::from_secs(3600),
    };
    let caller = Box::new(Script(script, Arc::clone(&calls)));
    let from = From::Service(Service::new(options, caller).hasty());
    (One { from, into: path("$.s"), missing }, calls)
}

fn failure(kind: FailureKind, class: &str) -> Failure {
    Failure { class: class.into(), message: "no".into(), kind, retry_after: None }
}

/// `{"of": value}` for every value, `null` for `"none"`.
fn echo(values: &[Json]) -> String {
    let answers = values.iter().map(|value| match value.as_str() {
        Some("none") => Json::Null,
        _ => json!({ "of": value }),
    });
    Json::Array(answers.collect()).to_string()
}

#[test]
fn a_batch_asks_once_for_each_value_in_as_few_calls_as_it_takes() {
    let (one, calls) = service(3, 100, EnrichMissing::Pass, |_, values| Ok(Some(echo(values))));
    let mut enricher = enricher(vec![one]);
    let batch = [
        r#"{"k":1}"#,
        r#"{"k":"a"}"#,
        r#"{"k":1.0}"#,
        r#"{"k":"\u0061"}"#,
        r#"{"k":"none"}"#,
        r#"{"n":1}"#,
        r#"{"k":true}"#,
        r#"{"k":"b"}"#,
    ];
    for _ in 0..2 {
        batch.iter().for_each(|payload| enricher.collect(payload.as_bytes()));
        enricher.fetch().unwrap();
        let enriched: Vec<_> =
            batch.iter().map(|payload| apply(&mut enricher, payload).unwrap()).collect();
        assert_eq!(enriched[0].as_deref(), Some(r#"{"k":1,"s":{"of":1}}"#));
        assert_eq!(enriched[2].as_deref(), Some(r#"{"k":1.0,"s":{"of":1}}"#));
        assert_eq!(enriched[3].as_deref(), Some(r#"{"k":"\u0061","s":{"of":"a"}}"#));
        assert_eq!(enriched[4], None);
        assert_eq!(enriched[5], None);
        assert_eq!(enriched[7].as_deref(), Some(r#"{"k":"b","s":{"of":"b"}}"#));
    }
    // The second round was remembered, the `null` too.
    let calls = calls.lock().unwrap();
    assert_eq!(*calls, [vec![json!(1), json!("a"), json!("none")], vec![json!(true), json!("b")]]);
}

#[test]
fn without_a_cache_each_batch_asks_again_and_what_was_not_collected_alone() {
    let (one, calls) = service(10, 0, EnrichMissing::Pass, |_, values| Ok(Some(echo(values))));
    let mut enricher = enricher(vec![one]);
    for _ in 0..2 {
        enricher.fetch().unwrap();
        for _ in 0..2 {
            assert!(apply(&mut enricher, r#"{"k":"a"}"#).unwrap().is_some());
        }
    }
    assert_eq!(*calls.lock().unwrap(), [vec![json!("a")], vec![json!("a")]]);
}

#[test]
fn a_service_that_is_away_is_waited_for() {
    let (one, calls) = service(10, 10, EnrichMissing::Reject, |call, values| match call {
        1 => Err(failure(FailureKind::Unreachable, "connect")),
        2 => Err(failure(FailureKind::Transient, "http_503")),
        _ => Ok(Some(echo(values))),
    });
    let mut enricher = enricher(vec![one]);
    assert!(self::one(&mut enricher, r#"{"k":1}"#).unwrap().is_some());
    assert_eq!(calls.lock().unwrap().len(), 3);
}

#[test]
fn a_stop_ends_the_waiting() {
    let stop = Stop::default();
    let asker = stop.clone();
    let (one, calls) = service(10, 10, EnrichMissing::Pass, move |call, _| {
        if call == 5 {
            asker.ask();
        }
        Err(failure(FailureKind::Unreachable, "connect"))
    });
    let mut enricher = Enricher::new(Arc::new(Enrichers { all: vec![one] }), stop);
    enricher.collect(br#"{"k":1}"#);
    assert_eq!(enricher.fetch(), Err(Stopped));
    assert_eq!(calls.lock().unwrap().len(), 5);
    // Nothing was found out, and nothing is remembered as known.
    assert_eq!(apply(&mut enricher, r#"{"k":1}"#), Err(NotEnriched::Stopped(Stopped)));
}

#[test]
fn a_no_for_good_is_no_answer_and_stays_with_its_value() {
    let (one, calls) = service(8, 10, EnrichMissing::Reject, |_, values| {
        if values.contains(&json!("bad")) {
            return Err(failure(FailureKind::Deterministic, "http_422"));
        }
        Ok(Some(echo(values)))
    });
    let mut enricher = enricher(vec![one]);
    let batch: Vec<String> = (0..7).map(|n| format!(r#"{{"k":{n}}}"#)).collect();
    let bad = r#"{"k":"bad"}"#;
    batch.iter().for_each(|payload| enricher.collect(payload.as_bytes()));
    enricher.collect(bad.as_bytes());
    enricher.fetch().unwrap();
    for payload in &batch {
        assert!(apply(&mut enricher, payload).unwrap().is_some(), "{payload}");
    }
    let rejected = fault(apply(&mut enricher, bad));
    assert_eq!((rejected.name, rejected.message.as_str()), ("enrich_missing", "http_422: no"));
    // By halves: 8, 4 + 4, 2 + 2, 1 + 1.
    assert_eq!(calls.lock().unwrap().len(), 7);
    // A no isn't remembered beyond its batch.
    assert_eq!(fault(self::one(&mut enricher, bad)).name, "enrich_missing");
    assert_eq!(calls.lock().unwrap().len(), 8);
}

#[test]
fn a_no_to_every_call_is_not_taken_apart() {
    let (one, calls) = service(8, 10, EnrichMissing::Pass, |_, _| {
        Err(failure(FailureKind::Deterministic, "http_401"))
    });
    let mut enricher = enricher(vec![one]);
    for n in 0..8 {
        enricher.collect(format!(r#"{{"k":{n}}}"#).as_bytes());
    }
    enricher.fetch().unwrap();
    assert_eq!(apply(&mut enricher, r#"{"k":1}"#).unwrap(), None);
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[test]
fn nonsense_is_asked_again_three_times() {
    for nonsense in ["{}", "[1]", "[1,2,3]", "[1,2", "", "<html>", "[1,2]x"] {
        let (one, calls) =
            service(8, 10, EnrichMissing::Reject, move |_, _| Ok(Some(nonsense.to_owned())));
        let mut enricher = enricher(vec![one]);
        enricher.collect(br#"{"k":1}"#);
        enricher.collect(br#"{"k":2}"#);
        enricher.fetch().unwrap();
        let rejected = fault(apply(&mut enricher, r#"{"k":1}"#));
        assert!(rejected.message.contains("http://service answered"), "{rejected}");
        assert_eq!(calls.lock().unwrap().len(), 3, "{nonsense}");
    }
}

#[test]
fn an_answer_of_several_lines_becomes_one() {
    let (one, _) = service(8, 10, EnrichMissing::Pass, |_, _| {
        Ok(Some("[ {\n  \"a\": \"x\\ny\",\r\n  \"b\": [ 1 ] } ]".to_owned()))
    });
    let mut enricher = enricher(vec![one]);
    let enriched = self::one(&mut enricher, r#"{"k":1}"#).unwrap().unwrap();
    assert!(!enriched.contains('\n'));
    let json: Json = serde_json::from_str(&enriched).unwrap();
    assert_eq!(json["s"], json!({ "a": "x\ny", "b": [1] }));
}

#[test]
fn long_calls_are_cut_by_their_bytes() {
    let (one, calls) = service(100, 0, EnrichMissing::Pass, |_, values| Ok(Some(echo(values))));
    let mut enricher = enricher(vec![one]);
    let payloads: Vec<String> =
        (0..4).map(|n| json!({ "k": format!("{n}").repeat(400) }).to_string()).collect();
    payloads.iter().for_each(|payload| enricher.collect(payload.as_bytes()));
    enricher.collect(json!({ "k": "x".repeat(5000) }).to_string().as_bytes());
    enricher.fetch().unwrap();
    let lens: Vec<usize> = calls.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(lens, [2, 2, 1]);
}

#[test]
fn calls_at_the_same_time_are_bounded() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now_of_call, most_of_call) = (Arc::clone(&now), Arc::clone(&most));
    let (one, calls) = service(1, 0, EnrichMissing::Pass, move |_, values| {
        let at_once = now_of_call.fetch_add(1, Ordering::SeqCst) + 1;
        most_of_call.fetch_max(at_once, Ordering::SeqCst);
        (0..100).for_each(|_| std::thread::yield_now());
        now_of_call.fetch_sub(1, Ordering::SeqCst);
        Ok(Some(echo(values)))
    });
    let shared = Arc::new(Enrichers { all: vec![one] });
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut enricher = Enricher::new(Arc::clone(&shared), Stop::default());
            scope.spawn(move || {
                for n in 0..50 {
                    assert!(
                        self::one(&mut enricher, &format!(r#"{{"k":"{worker}-{n}"}}"#)).is_ok()
                    );
                }
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(calls.lock().unwrap().len(), 200);
}

#[test]
fn one_enrichment_may_ask_by_what_another_has_added() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    std::fs::write(&file, "id,team\n7,red\n").unwrap();
    let teams = folder.path().join("u.csv");
    std::fs::write(&teams, "team,size\nred,11\n").unwrap();
    let mut enricher = enricher(vec![
        lookup(&file, "$.user", "id", "$.who", EnrichMissing::Reject),
        lookup(&teams, "$.who.team", "team", "$.team", EnrichMissing::Reject),
    ]);
    assert_eq!(
        one(&mut enricher, r#"{"user":7}"#).unwrap().unwrap(),
        r#"{"user":7,"who":{"id":"7","team":"red"},"team":{"team":"red","size":"11"}}"#
    );
    // What fails leaves nothing behind, also after another has done its part.
    std::fs::write(&teams, "team,size\n").unwrap();
    assert_eq!(fault(one(&mut enricher, r#"{"user":7}"#)).position, 2);
}

#[test]
fn an_answer_finds_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.ndjson");
    std::fs::write(&file, "{\"k\":1}").unwrap();
    let into = |into: &str, payload: &str| {
        let one = lookup(&file, "$.k", "k", into, EnrichMissing::Pass);
        self::one(&mut enricher(vec![one]), payload)
    };
    for (path, payload, enriched) in [
        ("$.a", r#"{"k":1, "a" : null }"#, r#"{"k":1, "a" : {"k":1} }"#),
        ("$.a", r#"{"\u0061":"x","k":1}"#, r#"{"\u0061":{"k":1},"k":1}"#),
        ("$.a.b.c", r#"{"k":1}"#, r#"{"k":1,"a":{"b":{"c":{"k":1}}}}"#),
        ("$.a.b.c", r#"{"k":1,"a":{ } }"#, r#"{"k":1,"a":{"b":{"c":{"k":1}} } }"#),
        ("$.a.b", r#"{"a":{"x":{}},"k":1}"#, r#"{"a":{"x":{},"b":{"k":1}},"k":1}"#),
        ("$.a[1].b", r#"{"a":[0,{"b":2}],"k":1}"#, r#"{"a":[0,{"b":{"k":1}}],"k":1}"#),
        ("$['ü\"\n']", r#"{"k":1}"#, r#"{"k":1,"ü\"\n":{"k":1}}"#),
        ("$.k", r#"{"k":1}"#, r#"{"k":{"k":1}}"#),
    ] {
        assert_eq!(into(path, payload).unwrap().as_deref(), Some(enriched), "{path} {payload}");
    }
    for (path, payload, name) in [
        ("$.a.b", r#"{"k":1,"a":5}"#, "enrich_no_place"),
        ("$.a.b", r#"{"k":1,"a":null}"#, "enrich_no_place"),
        ("$.a.b", r#"{"k":1,"a":[{}]}"#, "enrich_no_place"),
        ("$.a[1].b", r#"{"k":1,"a":[{}]}"#, "enrich_no_place"),
        ("$.a[0].b", r#"{"k":1}"#, "enrich_no_place"),
        ("$.a", r#"{"k":1,"a":5,"a":6}"#, "json_ambiguous_field"),
        ("$.a.b", r#"{"k":1,"a":{},"a":{}}"#, "json_ambiguous_field"),
    ] {
        assert_eq!(fault(into(path, payload)).name, name, "{path} {payload}");
    }
}

#[test]
fn of_a_url_only_the_host_is_shown() {
    for (url, shown) in [
        ("https://user:secret@example.org:8443/secret?key=secret", "https://example.org:8443"),
        ("http://127.0.0.1?token=secret", "http://127.0.0.1"),
        ("http://[::1]:80/a@b", "http://[::1]:80"),
    ] {
        assert_eq!(origin(url), shown);
    }
}
