use event::path::FieldPath;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::stage::time::TimeFormat;

fn path(path: &str) -> FieldPath {
    FieldPath::parse(path).unwrap()
}

fn split(field: &str, at: &str, into: &[&str]) -> TransformConfig {
    let into = into.iter().map(|name| (*name).to_owned()).collect();
    TransformConfig::Split { field: path(field), at: at.to_owned(), into }
}

fn rename(from: &str, to: &str) -> TransformConfig {
    TransformConfig::Rename { from: path(from), to: to.to_owned() }
}

fn drop(fields: &[&str]) -> TransformConfig {
    TransformConfig::Drop { fields: fields.iter().map(|field| path(field)).collect() }
}

fn time(field: &str, from: TimeFormat, to: TimeFormat) -> TransformConfig {
    TransformConfig::Time { field: path(field), from, to }
}

fn apply(steps: &[TransformConfig], payload: &str) -> Result<Option<String>, TransformError> {
    let mut out = b"before".to_vec();
    let applied = Transforms::new(steps).apply(payload.as_bytes(), &mut out);
    assert_eq!(&out[..6], b"before");
    match applied {
        Ok(Applied::Appended) => Ok(Some(String::from_utf8(out.split_off(6)).unwrap())),
        Ok(Applied::Same) => {
            assert_eq!(out.len(), 6);
            Ok(None)
        }
        Err(error) => {
            assert_eq!(out.len(), 6, "what failed leaves nothing behind");
            Err(error)
        }
    }
}

/// Payloads and what they become; the same text means that nothing changes.
fn check(steps: &[TransformConfig], cases: &[(&str, &str)]) {
    for (payload, expected) in cases {
        let expected = (payload != expected).then(|| (*expected).to_owned());
        assert_eq!(apply(steps, payload).unwrap(), expected, "{payload}");
    }
}

fn fault(steps: &[TransformConfig], payload: &str) -> &'static str {
    apply(steps, payload).unwrap_err().name()
}

#[test]
fn split_adds_fields_beside_the_one_it_cuts() {
    let step = [split("$.event_name", ":", &["event_type", "event_subtype"])];
    check(
        &step,
        &[
            (
                r#"{ "event_name" : "game:resumed" , "n": 1 }"#,
                r#"{ "event_name" : "game:resumed","event_type":"game","event_subtype":"resumed" , "n": 1 }"#,
            ),
            // The last name takes the rest; names without a part aren't written.
            (
                r#"{"event_name":"a:b:c"}"#,
                r#"{"event_name":"a:b:c","event_type":"a","event_subtype":"b:c"}"#,
            ),
            (
                r#"{"event_name":"a:"}"#,
                r#"{"event_name":"a:","event_type":"a","event_subtype":""}"#,
            ),
            (r#"{"event_name":"a"}"#, r#"{"event_name":"a","event_type":"a"}"#),
            (r#"{"event_name":""}"#, r#"{"event_name":"","event_type":""}"#),
            // Names that are there already get the value where they stand, or keep theirs.
            (
                r#"{"event_subtype":1,"event_name":"a:b","event_type":{"x":[]}}"#,
                r#"{"event_subtype":"b","event_name":"a:b","event_type":"a"}"#,
            ),
            (
                r#"{"event_name":"a","event_subtype":1}"#,
                r#"{"event_name":"a","event_type":"a","event_subtype":1}"#,
            ),
            // Escapes are text, before and after.
            (
                r#"{"event_name":"\u0061\u003a\"\n\u0000ü"}"#,
                "{\"event_name\":\"\\u0061\\u003a\\\"\\n\\u0000ü\",\"event_type\":\"a\",\"event_subtype\":\"\\\"\\n\\u0000ü\"}",
            ),
            (
                r#"{"event\u005fname":"a:b"}"#,
                r#"{"event\u005fname":"a:b","event_type":"a","event_subtype":"b"}"#,
            ),
            // Nothing to do.
            (r#"{"n":1}"#, r#"{"n":1}"#),
            (r#"{"event_name":null}"#, r#"{"event_name":null}"#),
            ("{}", "{}"),
        ],
    );
    for payload in
        [r#"{"event_name":5}"#, r#"{"event_name":["a:b"]}"#, r#"{"event_name":"\ud800:"}"#]
    {
        assert_eq!(fault(&step, payload), "transform_not_text", "{payload}");
    }
    for payload in [
        r#"{"event_name":"a","event_name":"b"}"#,
        r#"{"event_name":"a","event_type":1,"event_type":2}"#,
    ] {
        assert_eq!(fault(&step, payload), "json_ambiguous_field", "{payload}");
    }
}

#[test]
fn split_may_replace_the_field_itself() {
    check(
        &[split("$.a", "->", &["b", "a", "c"])],
        &[
            (r#"{"a":"1->2->3","x":0}"#, r#"{"a":"2","b":"1","c":"3","x":0}"#),
            (r#"{"a":"1"}"#, r#"{"a":"1","b":"1"}"#),
        ],
    );
    check(
        &[split("$.a", "\"", &["b", "c"])],
        &[(r#"{"a":"x\"y"}"#, r#"{"a":"x\"y","b":"x","c":"y"}"#)],
    );
    check(
        &[split("$.a", "ü", &["b", "c"])],
        &[(r#"{"a":"xüy"}"#, r#"{"a":"xüy","b":"x","c":"y"}"#)],
    );
}

#[test]
fn time_is_rewritten_where_it_stands() {
    use TimeFormat::{EpochMillis, EpochSeconds, Rfc3339};
    check(
        &[time("$.created_at", EpochSeconds, Rfc3339)],
        &[
            (r#"{ "created_at" : 1441932418 }"#, r#"{ "created_at" : "2015-09-11T00:46:58Z" }"#),
            (
                r#"{"created_at":"1441932418.771","n":1}"#,
                r#"{"created_at":"2015-09-11T00:46:58.771Z","n":1}"#,
            ),
            (r#"{"created_at":null}"#, r#"{"created_at":null}"#),
            (r#"{"n":1}"#, r#"{"n":1}"#),
        ],
    );
    check(
        &[time("$.l[1].t", Rfc3339, EpochMillis)],
        &[
            (
                r#"{"l":[{"t":0},{"t":"2015-09-11T00:46:58.771Z"}]}"#,
                r#"{"l":[{"t":0},{"t":1441932418771}]}"#,
            ),
            (r#"{"l":[{"t":0}]}"#, r#"{"l":[{"t":0}]}"#),
        ],
    );
    let step = [rename("$.x", "y"), time("$.t", EpochSeconds, Rfc3339)];
    let error = apply(&step, r#"{"t":1441932418771}"#).unwrap_err();
    assert_eq!(error.name(), "time_wrong_unit");
    assert_eq!(
        error.to_string(),
        "transform 2 (`time`) of $.t: the time isn't in epoch_seconds: it looks like epoch_millis"
    );
    assert_eq!(fault(&step, r#"{"t":true}"#), "time_broken");
    assert_eq!(fault(&step, r#"{"t":1,"t":1}"#), "json_ambiguous_field");
}

#[test]
fn rename_keeps_the_place_and_replaces_what_had_the_name() {
    check(
        &[rename("$.a", "b\"")],
        &[
            (r#"{"x":1, "a" : null ,"y":2}"#, r#"{"x":1, "b\"" : null ,"y":2}"#),
            (r#"{"b\"":1,"a":2}"#, r#"{"b\"":2}"#),
            (r#"{"a":2, "b\"":1}"#, r#"{"b\"":2}"#),
            (r#"{"b\"":0 , "x":1 , "a":2 , "b\u0022":3 }"#, r#"{"x":1 , "b\"":2 }"#),
            (r#"{"b\"":1}"#, r#"{"b\"":1}"#),
        ],
    );
    check(
        &[rename("$.o.a", "b")],
        &[
            (r#"{"a":1,"o":{"a":2}}"#, r#"{"a":1,"o":{"b":2}}"#),
            (r#"{"o":[{"a":2}]}"#, r#"{"o":[{"a":2}]}"#),
        ],
    );
    check(&[rename("$.a", "a")], &[(r#"{"a":1}"#, r#"{"a":1}"#)]);
    assert_eq!(fault(&[rename("$.a", "b")], r#"{"a":1,"a":2}"#), "json_ambiguous_field");
    assert_eq!(fault(&[rename("$.o.a", "b")], r#"{"o":{},"o":{}}"#), "json_ambiguous_field");
}

#[test]
fn drop_takes_a_comma_along() {
    check(
        &[drop(&["$.a", "$.o.x", "$.b", "$.l[1].x"])],
        &[
            (r#"{ "a":1 }"#, "{  }"),
            (r#"{ "a":1 , "c":2 }"#, r#"{ "c":2 }"#),
            (r#"{ "c":2 , "a":1 }"#, r#"{ "c":2 }"#),
            (r#"{"a":1,"b":2}"#, "{}"),
            (r#"{"a":1,"c":0,"b":2,"a":3,"d":0}"#, r#"{"c":0,"d":0}"#),
            (r#"{"c":0,"a":1,"b":2,"d":0,"b":1}"#, r#"{"c":0,"d":0}"#),
            (r#"{"o":{"x":{"a":1}},"b":"x"}"#, r#"{"o":{}}"#),
            (r#"{"l":[{"x":1},{"y":1,"x":2}]}"#, r#"{"l":[{"x":1},{"y":1}]}"#),
            (r#"{"o":"x","l":[]}"#, r#"{"o":"x","l":[]}"#),
        ],
    );
}

#[test]
fn steps_see_what_the_one_before_them_left() {
    let steps = [
        split("$.event_name", ":", &["event_type", "event_subtype"]),
        time("$.created_at", TimeFormat::EpochSeconds, TimeFormat::Rfc3339),
        rename("$.event_type", "kind"),
        drop(&["$.event_name", "$.nothing"]),
    ];
    check(
        &steps,
        &[
            (
                r#"{"event_name":"game:resumed","created_at":1441932418}"#,
                r#"{"kind":"game","event_subtype":"resumed","created_at":"2015-09-11T00:46:58Z"}"#,
            ),
            // Only the last one, or only one before it, has something to do.
            (r#"{"event_name":null}"#, "{}"),
            (r#"{"event_type":1}"#, r#"{"kind":1}"#),
            (r#"{"n":1}"#, r#"{"n":1}"#),
        ],
    );
    // One `Transforms` does one payload after the other, failed ones among them.
    let mut transforms = Transforms::new(&steps);
    let mut out = Vec::new();
    for _ in 0..3 {
        assert!(transforms.apply(br#"{"event_name":"a","created_at":true}"#, &mut out).is_err());
        assert!(out.is_empty());
        assert_eq!(transforms.apply(br#"{"event_type":1}"#, &mut out), Ok(Applied::Appended));
        assert_eq!(out, br#"{"kind":1}"#);
        out.clear();
    }
    assert!(Transforms::new(&[]).is_noop());
    assert_eq!(Transforms::new(&[]).apply(b"{}", &mut out), Ok(Applied::Same));
}

#[test]
fn a_path_without_a_name_at_its_end_is_a_mistake_and_never_ignored() {
    for step in [split("$.a[0]", ":", &["b", "c"]), rename("$", "b"), drop(&["$.a", "$.b[1]"])] {
        assert!(mistake(&step).is_some());
        assert!(super::check(&step).is_err());
        assert!(
            Transforms::for_pipe(std::slice::from_ref(&step), &TransformContext::default())
                .is_err()
        );
        assert_eq!(fault(&[step], "{}"), "transform_unusable");
    }
    for step in [drop(&["$.a[0].b"]), time("$.a[0]", TimeFormat::Rfc3339, TimeFormat::EpochNanos)] {
        assert_eq!(mistake(&step), None);
    }
}

/// The same steps on a tree.
fn by_tree(step: &TransformConfig, event: &mut Value) {
    let parent = |path: &FieldPath, event: &mut Value| -> Option<(Map<String, Value>, String)> {
        let (last, way) = path.steps().split_last().unwrap();
        let PathStep::Field(name) = last else { panic!() };
        let object = way.iter().try_fold(event, |value, step| match step {
            PathStep::Field(name) => value.as_object_mut()?.get_mut(&**name),
            PathStep::Index(index) => value.as_array_mut()?.get_mut(*index as usize),
        })?;
        Some((std::mem::take(object.as_object_mut()?), name.to_string()))
    };
    let put = |path: &FieldPath, event: &mut Value, object: Map<String, Value>| {
        let (_, way) = path.steps().split_last().unwrap();
        let place = way.iter().fold(event, |value, step| match step {
            PathStep::Field(name) => &mut value[&**name],
            PathStep::Index(index) => &mut value[*index as usize],
        });
        *place = Value::Object(object);
    };
    match step {
        TransformConfig::Template(_) | TransformConfig::Vrl(_) => {}
        TransformConfig::Drop { fields } => {
            for field in fields {
                if let Some((mut object, name)) = parent(field, event) {
                    object.shift_remove(&name);
                    put(field, event, object);
                }
            }
        }
        TransformConfig::Rename { from, to } => {
            if let Some((object, name)) = parent(from, event) {
                let has = object.contains_key(&name);
                let renamed =
                    object.into_iter().filter(|(own, _)| !has || own != to || *to == name);
                let renamed =
                    renamed.map(|(own, value)| (if own == name { to.clone() } else { own }, value));
                put(from, event, renamed.collect());
            }
        }
        TransformConfig::Split { field, at, into } => {
            if let Some((object, name)) = parent(field, event) {
                let text = object.get(&name).and_then(Value::as_str).map(str::to_owned);
                let parts: Vec<_> = text
                    .iter()
                    .flat_map(|text| into.iter().zip(text.splitn(into.len(), at)))
                    .collect();
                let mut new = Map::new();
                for (own, value) in &object {
                    let part = parts.iter().find(|(name, _)| *name == own);
                    new.insert(own.clone(), part.map_or(value.clone(), |(_, part)| json!(part)));
                    if *own == name {
                        for (name, part) in &parts {
                            if !object.contains_key(*name) {
                                new.insert((*name).clone(), json!(part));
                            }
                        }
                    }
                }
                put(field, event, new);
            }
        }
        TransformConfig::Time { .. } => unreachable!(),
    }
}

fn event() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "c", "ü\n"]);
    let scalar = prop_oneof![
        "[a:\"ü\\\\]{0,4}".prop_map(Value::from),
        "[a:]{0,4}".prop_map(Value::from),
        Just(json!(null)),
    ];
    let value = scalar.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            2 => prop::collection::vec((name.clone(), inner.clone()), 0..4).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    });
    prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), value), 0..4).prop_map(
        |members| {
            Value::Object(
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            )
        },
    )
}

fn step() -> impl Strategy<Value = TransformConfig> {
    let field =
        || prop::sample::select(vec!["$.a", "$.b", "$.a.b", "$.a.a", "$.b[1].a", "$.c['ü\n']"]);
    let name = || prop::sample::select(vec!["a", "b", "c", "ü\n", "new"]);
    prop_oneof![
        prop::collection::vec(field(), 1..4).prop_map(|fields| drop(&fields)),
        (field(), name()).prop_map(|(from, to)| rename(from, to)),
        (field(), prop::sample::subsequence(vec!["a", "b", "c", "new", "ü\n"], 2..4))
            .prop_map(|(field, into)| split(field, ":", &into)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn text_and_tree_agree(
        steps in prop::collection::vec(step(), 1..4),
        event in event(),
        pretty in any::<bool>(),
    ) {
        let payload = if pretty { serde_json::to_string_pretty(&event) } else { serde_json::to_string(&event) };
        let payload = payload.unwrap();
        let mut expected = event.clone();
        match apply(&steps, &payload) {
            Err(error) => prop_assert_eq!(error.what, TransformFault::NotText),
            Ok(changed) => {
                for step in &steps {
                    by_tree(step, &mut expected);
                }
                let text = changed.unwrap_or(payload);
                let changed: Value = serde_json::from_str(&text).unwrap();
                // The order counts, too.
                prop_assert_eq!(changed.to_string(), expected.to_string(), "{}", text);
                if !pretty {
                    prop_assert_eq!(text, expected.to_string(), "nothing but the steps' bytes");
                }
            }
        }
    }

    #[test]
    fn nothing_panics(steps in prop::collection::vec(step(), 1..4), payload in "[{}\\[\\]\":,abnul 1\\\\]{0,40}") {
        let _ = Transforms::new(&steps).apply(payload.as_bytes(), &mut Vec::new());
    }
}
