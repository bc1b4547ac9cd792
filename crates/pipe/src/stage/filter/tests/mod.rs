//! What patterns match, by hand and against the reference.

mod generated;
mod operators;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Pattern, PatternError, reference};

fn compiled(pattern: &Value) -> Pattern {
    Pattern::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// Whether the pattern matches the event, however the event is spelled; the reference must agree.
fn matches(pattern: &Value, event: &Value) -> bool {
    let compiled = compiled(pattern);
    let plain = compiled.matches(event.to_string().as_bytes());
    let odd = compiled.matches(oddly_spelled(event).as_bytes());
    assert_eq!(plain, odd, "pattern {pattern}\nevent {event}: the spelling made a difference");
    assert_eq!(plain, reference::matches(pattern, event), "pattern {pattern}\nevent {event}");
    plain
}

/// The same event with whitespace and needless escapes.
fn oddly_spelled(value: &Value) -> String {
    let text = |text: &str| {
        let escaped = |(index, c): (usize, char)| match (index % 2, c) {
            (0, _) | (_, '"' | '\\' | '\0'..='\u{1f}') => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect()
            }
            _ => c.to_string(),
        };
        format!("\"{}\"", text.chars().enumerate().map(escaped).collect::<String>())
    };
    match value {
        Value::String(own) => text(own),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(oddly_spelled).collect();
            format!("[ {}\n]", elements.join(" ,\t"))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{} : {}", text(name), oddly_spelled(value)))
                .collect();
            format!("{{ {}\r\n}}", members.join(" , "))
        }
        other => other.to_string(),
    }
}

fn check(pattern: &Value, matching: &[Value], others: &[Value]) {
    for event in matching {
        assert!(matches(pattern, event), "{pattern} should match {event}");
    }
    for event in others {
        assert!(!matches(pattern, event), "{pattern} should not match {event}");
    }
}

#[test]
fn the_sample_of_the_service_matches() {
    let event = json!({
        "version": "0", "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2", "time": "2017-12-22T18:43:48Z", "region": "us-west-1",
        "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
        "detail": { "instance-id": "i-1234567890abcdef0", "state": "terminated", "c-count": 5,
                    "x-limit": 301.8, "d-count": 3 },
    });
    for pattern in [
        json!({ "source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"],
                "detail": { "state": ["initializing", "terminated"] } }),
        json!({ "time": [{ "prefix": "2017-12-22" }],
                "detail": { "state": [{ "anything-but": "initializing" }],
                            "c-count": [{ "numeric": [">", 0, "<=", 5] }],
                            "d-count": [{ "numeric": ["<", 10] }],
                            "x-limit": [{ "anything-but": [100, 200, 300] }] } }),
        json!({ "detail": { "x-limit": [{ "numeric": ["=", 3.018e2] }] } }),
        json!({ "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"] }),
        json!({ "source": ["aws.ec2"], "$or": [
                { "detail": { "c-count": [{ "numeric": [">", 10] }] } },
                { "detail": { "d-count": [3] }, "region": [{ "prefix": "us-" }] }] }),
    ] {
        check(&pattern, std::slice::from_ref(&event), &[json!({}), json!({ "source": "aws.ec2" })]);
    }
}

#[test]
fn exact_values_go_by_type_and_numbers_by_value() {
    check(
        &json!({ "a": ["x", 300, true, null, ""] }),
        &[
            json!({"a": "x"}),
            json!({"a": 3.0e2}),
            json!({"a": true}),
            json!({"a": null}),
            json!({"a": ""}),
        ],
        &[
            json!({"a": "300"}),
            json!({"a": "true"}),
            json!({"a": "null"}),
            json!({"a": false}),
            json!({"a": 0}),
            json!({"a": "X"}),
            json!({}),
            json!({"a": {}}),
            json!({"a": []}),
            json!({"b": "x"}),
        ],
    );
    let pattern = compiled(&json!({ "account": [123456789012_i64], "limit": [0.1] }));
    assert!(pattern.matches(br#"{"account":1.23456789012e11,"limit":0.10}"#));
    assert!(!pattern.matches(br#"{"account":123456789013,"limit":0.1}"#));
    assert!(!pattern.matches(br#"{"account":123456789012,"limit":0.10000000000000000001}"#));
}

#[test]
fn prefix_works_on_texts_only() {
    check(
        &json!({ "a": [{ "prefix": "1\"ü" }] }),
        &[json!({"a": "1\"ü"}), json!({"a": "1\"üx"}), json!({"a": [2, "1\"ü!"]})],
        &[json!({"a": "1\""}), json!({"a": 1}), json!({"a": "x1\"ü"}), json!({"a": null})],
    );
    check(
        &json!({ "a": [{ "prefix": "" }] }),
        &[json!({"a": ""}), json!({"a": "x"})],
        &[json!({"a": 1})],
    );
    // A backslash in the prefix is a character, not the start of an escape in the event.
    let pattern = compiled(&json!({ "a": [{ "prefix": "\\u0041" }] }));
    assert!(!pattern.matches(br#"{"a":"\u0041"}"#));
    assert!(pattern.matches(br#"{"a":"\\u0041"}"#));
}

#[test]
fn exists_looks_at_values_only() {
    let there = [
        json!({"a": {"b": 0}}),
        json!({"a": {"b": null}}),
        json!({"a": {"b": ""}}),
        json!({"a": {"b": [1]}}),
        json!({"a": {"b": [[], [false]]}}),
    ];
    // An object is no value, nor is an empty array: the service sees leaves only.
    let missing = [
        json!({}),
        json!({"a": {}}),
        json!({"a": {"b": []}}),
        json!({"a": {"b": {}}}),
        json!({"a": {"b": {"c": 1}}}),
        json!({"a": 1}),
        json!({"b": 1}),
        json!({"a": {"b": [{}]}}),
    ];
    check(&json!({ "a": { "b": [{ "exists": true }] } }), &there, &missing);
    check(&json!({ "a": { "b": [{ "exists": false }] } }), &missing, &there);
    // Beside other fields, and as one alternative among others.
    check(
        &json!({ "a": [{ "exists": false }], "b": ["x"] }),
        &[json!({"b": "x"})],
        &[json!({}), json!({"b": "x", "a": 1}), json!({"a": 1, "b": "x"})],
    );
    check(
        &json!({ "a": [{ "exists": false }, "x"] }),
        &[json!({}), json!({"a": "x"}), json!({"a": ["y", "x"]})],
        &[json!({"a": "y"}), json!({"a": null})],
    );
}

#[test]
fn anything_but_takes_every_value_but_no_missing_field() {
    check(
        &json!({ "a": [{ "anything-but": ["x", "y"] }] }),
        &[
            json!({"a": "z"}),
            json!({"a": ""}),
            json!({"a": null}),
            json!({"a": 5}),
            json!({"a": true}),
            json!({"a": ["x", "z"]}),
        ],
        &[
            json!({"a": "x"}),
            json!({"a": ["x", "y"]}),
            json!({}),
            json!({"a": []}),
            json!({"a": {}}),
        ],
    );
    check(
        &json!({ "a": [{ "anything-but": 5 }] }),
        &[json!({"a": "5"}), json!({"a": 5.5}), json!({"a": 6e9}), json!({"a": null})],
        &[json!({"a": 5}), json!({"a": 5.0}), json!({})],
    );
    check(
        &json!({ "a": [{ "anything-but": { "prefix": "game:" } }] }),
        &[json!({"a": "games"}), json!({"a": 1}), json!({"a": ["game:x", "y"]})],
        &[json!({"a": "game:"}), json!({"a": "game:x"}), json!({})],
    );
    check(
        &json!({ "a": [{ "anything-but": { "prefix": ["x", "y"] } }] }),
        &[json!({"a": "z"})],
        &[json!({"a": "x"}), json!({"a": "yes"})],
    );
}

#[test]
fn numeric_sees_five_billion_either_way() {
    let positive = json!({ "a": [{ "numeric": [">", 0] }] });
    check(
        &positive,
        &[json!({"a": 0.000001}), json!({"a": 5e9}), json!({"a": [-1, 1]})],
        &[
            json!({"a": 0}),
            json!({"a": -1}),
            json!({"a": "1"}),
            json!({"a": 5000000001_i64}),
            json!({"a": true}),
            json!({}),
        ],
    );
    check(
        &json!({ "a": [{ "numeric": [">=", -1.5, "<", 2] }] }),
        &[json!({"a": -1.5}), json!({"a": 0}), json!({"a": 1.999999})],
        &[json!({"a": -1.500001}), json!({"a": 2})],
    );
    check(
        &json!({ "a": [{ "numeric": ["=", 2] }, { "numeric": ["<=", -5e9] }] }),
        &[json!({"a": 2.0}), json!({"a": -5e9})],
        &[json!({"a": 2.1}), json!({"a": -4999999999_i64}), json!({"a": -5000000001_i64})],
    );
    // Digits past the sixth decimal count.
    let positive = compiled(&positive);
    assert!(positive.matches(br#"{"a":1e-30}"#));
    assert!(!positive.matches(br#"{"a":-1e-30}"#));
    assert!(!positive.matches(br#"{"a":5000000000.0000000001}"#));
}

#[test]
fn or_stands_beside_other_fields() {
    let pattern = json!({
        "source": ["s"],
        "$or": [
            { "m": ["x", "y"] },
            { "t": ["z"], "n": ["w"], "$or": [{ "i": [1] }, { "j": [1] }] },
            { "d": { "$or": [{ "e": [{ "exists": false }], "f": [1] }, { "e": [2] }] } },
        ],
    });
    check(
        &pattern,
        &[
            json!({"source": "s", "m": "y"}),
            json!({"t": "z", "n": "w", "j": 1, "source": "s"}),
            json!({"d": {"f": 1}, "source": "s"}),
            json!({"d": {"e": 2}, "source": "s"}),
        ],
        &[
            json!({"m": "y"}),
            json!({"source": "s"}),
            json!({"source": "s", "t": "z", "n": "w"}),
            json!({"source": "s", "t": "z", "j": 1}),
            json!({"source": "s", "d": {"f": 1, "e": 1}}),
        ],
    );
}

#[test]
fn fields_of_a_match_come_from_the_same_element() {
    let people = json!({ "employees": [
        { "firstName": "John", "lastName": "Doe" }, { "firstName": "Anna", "lastName": "Smith" },
        { "firstName": "Peter", "lastName": "Jones" } ] });
    let nested = json!({ "employees": [
        [{ "firstName": "John", "lastName": "Doe" }, { "firstName": "Anna", "lastName": "Smith" }],
        [{ "firstName": "Peter", "lastName": "Jones" }] ] });
    let anna = json!({ "employees": { "firstName": ["Anna"] } });
    let anna_jones = json!({ "employees": { "firstName": ["Anna"], "lastName": ["Jones"] } });
    let anna_smith = json!({ "employees": { "firstName": ["Anna"], "lastName": ["Smith"] } });
    for event in [people, nested] {
        check(&anna, std::slice::from_ref(&event), &[]);
        check(&anna_smith, std::slice::from_ref(&event), &[]);
        check(&anna_jones, &[], &[event]);
    }
}

#[test]
fn fields_of_different_arrays_go_together() {
    check(
        &json!({ "l": { "x": { "a": [1] }, "y": { "b": [2] } }, "m": { "c": [3] } }),
        &[
            json!({"l": [{"x": [{"a": 0}, {"a": 1}], "y": [{"b": 2}]}], "m": [{}, {"c": 3}]}),
            json!({"l": {"x": {"a": [0, 1]}, "y": [[{"b": 2}]]}, "m": {"c": 3}}),
        ],
        &[
            json!({"l": [{"x": [{"a": 1}]}, {"y": [{"b": 2}]}], "m": {"c": 3}}),
            json!({"l": [{"x": [{"a": 1}], "y": [{"b": 2}]}], "m": [{"c": 4}]}),
        ],
    );
}

#[test]
fn a_value_outside_an_array_goes_with_any_element() {
    let pattern = json!({ "l": { "a": [1], "b": [2] } });
    check(
        &pattern,
        &[json!({"l": [{"a": 1}], "l.b": 2}), json!({"l.a": 1, "l": [{"b": 2}]})],
        &[json!({"l": [{"a": 1}, {"b": 2}], "l.b": 3})],
    );
    let twice = br#"{"l":[{"a":1}],"l":{"b":2}}"#;
    assert!(compiled(&pattern).matches(twice));
}

#[test]
fn absence_in_an_array_of_objects_goes_by_the_order_of_paths() {
    // `a` comes before `b`: no element has been settled on, so none may have it.
    check(
        &json!({ "l": { "a": [{ "exists": false }], "b": [1] } }),
        &[json!({"l": [{"b": 1}, {"b": 2}]})],
        &[json!({"l": [{"b": 1}, {"a": 1}]}), json!({"l": [{"b": 1, "a": 1}]}), json!({"l": []})],
    );
    // `c` comes after it: the element with `b` must lack it.
    check(
        &json!({ "l": { "b": [1], "c": [{ "exists": false }] } }),
        &[json!({"l": [{"b": 1}, {"c": 1}]}), json!({"l": [{"b": 1, "c": 2}, {"b": 1}]})],
        &[json!({"l": [{"b": 1, "c": 1}, {"b": 2}]})],
    );
}

#[test]
fn dots_in_names_are_nested_objects() {
    for pattern in [
        json!({ "detail": { "state.status": ["running"] } }),
        json!({ "detail": { "state": { "status": ["running"] } } }),
        json!({ "detail.state.status": ["running"] }),
    ] {
        check(
            &pattern,
            &[
                json!({"detail": {"state": {"status": "running"}}}),
                json!({"detail": {"state.status": "running"}}),
                json!({"detail.state": {"status": ["x", "running"]}}),
                json!({"detail.state": 1, "detail": {"state": 2}, "detail.state.status": "running"}),
            ],
            &[
                json!({"detail": {"state": "running"}}),
                json!({"state.status": "running"}),
                json!({"detail..state.status": "running"}),
            ],
        );
    }
    check(
        &json!({ "": ["x"], "a.": [1] }),
        &[json!({"": "x", "a": {"": 1}})],
        &[json!({"": "x", "a": 1})],
    );
}

#[test]
fn a_name_that_stands_twice_matches_with_either_value() {
    let pattern = compiled(&json!({ "a": ["x"] }));
    assert!(pattern.matches(br#"{"a":"x","a":"y"}"#));
    assert!(pattern.matches(br#"{"a":"y","a":"x"}"#));
}

#[test]
fn what_was_never_scanned_does_not_panic() {
    let pattern = compiled(
        &json!({ "a": { "b": [{ "prefix": "x" }, { "numeric": ["<", 1] }, { "exists": false }] } }),
    );
    for payload in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"a\"",
        b"{\"a\":{\"b\":\"",
        b"\"",
        b"{\"a\":[{\"b\":-}]",
        b"\xff",
    ] {
        let _ = pattern.matches(payload);
    }
}

fn error(pattern: &Value) -> PatternError {
    match Pattern::compile(pattern) {
        Ok(_) => panic!("{pattern} compiled"),
        Err(error) => error,
    }
}

#[test]
fn mistakes_are_named_with_their_place_and_a_way_out() {
    for (pattern, pointer, message, help) in [
        (json!([]), "", "is an object", "write the fields"),
        (json!({}), "", "empty object", "name a field"),
        (json!({ "a": {} }), "/a", "empty object", "name a field"),
        (json!({ "a": [] }), "/a", "empty array", "exists"),
        (json!({ "a": "x" }), "/a", "must be an array", r#"write ["x"]"#),
        (json!({ "a/b~": 5 }), "/a~1b~0", "must be an array", "write [5]"),
        (
            json!({ "a": { "prefix": "x" } }),
            "/a/prefix",
            "must be an array",
            r#"[{ "prefix": "x" }]"#,
        ),
        (json!({ "a": [["x"]] }), "/a/0", "not an array", "beside"),
        (json!({ "a": [{}] }), "/a/0", "one name", "alternatives"),
        (
            json!({ "a": [{ "prefix": "x", "exists": true }] }),
            "/a/0",
            "one name, not 2",
            "alternatives",
        ),
        (json!({ "a": ["y", { "prefix": 5 }] }), "/a/1/prefix", "takes a text, not 5", "quotes"),
        (
            json!({ "a": [{ "prefixes": "x" }] }),
            "/a/0/prefixes",
            "unknown operator",
            "there are prefix",
        ),
        (json!({ "a": [{ "Prefix": "x" }] }), "/a/0/Prefix", "unknown operator", "`prefix`"),
        (
            json!({ "a": [{ "anything_but": "x" }] }),
            "/a/0/anything_but",
            "unknown operator",
            "`anything-but`",
        ),
        (json!({ "a": [{ "exist": true }] }), "/a/0/exist", "unknown operator", "`exists`"),
        (json!({ "a": [{ "exists": "true" }] }), "/a/0/exists", "true or false", "exists"),
        (json!({ "a": [{ "anything-but": [] }] }), "/a/0/anything-but", "of nothing", "exists"),
        (
            json!({ "a": [{ "anything-but": ["x", 1] }] }),
            "/a/0/anything-but",
            "texts or numbers",
            "anything-but",
        ),
        (
            json!({ "a": [{ "anything-but": null }] }),
            "/a/0/anything-but",
            "texts or numbers",
            "anything-but",
        ),
        (json!({ "a": [{ "anything-but": 6e9 }] }), "/a/0/anything-but", "beyond", "larger"),
        (
            json!({ "a": [{ "anything-but": { "prefix": "" } }] }),
            "/a/0/anything-but/prefix",
            "no text would match",
            "one character",
        ),
        (
            json!({ "a": [{ "anything-but": { "numeric": [] } }] }),
            "/a/0/anything-but/numeric",
            "doesn't take",
            "prefix",
        ),
        (json!({ "a": [{ "numeric": ">" }] }), "/a/0/numeric", "takes an array", "numeric"),
        (json!({ "a": [{ "numeric": [] }] }), "/a/0/numeric", "one or two", "numeric"),
        (json!({ "a": [{ "numeric": [">"] }] }), "/a/0/numeric", "by turns", "numeric"),
        (json!({ "a": [{ "numeric": [">", "5"] }] }), "/a/0/numeric", "by turns", "numeric"),
        (json!({ "a": [{ "numeric": ["==", 5] }] }), "/a/0/numeric", "unknown comparison", "<="),
        (
            json!({ "a": [{ "numeric": ["<", 5, ">", 1] }] }),
            "/a/0/numeric",
            "lower bound and then",
            "numeric",
        ),
        (
            json!({ "a": [{ "numeric": ["=", 5, "<", 7] }] }),
            "/a/0/numeric",
            "lower bound and then",
            "numeric",
        ),
        (
            json!({ "a": [{ "numeric": [">", 5, "<", 5] }] }),
            "/a/0/numeric",
            "isn't below",
            "numeric",
        ),
        (
            json!({ "a": [{ "numeric": [">", 5000000001_i64] }] }),
            "/a/0/numeric",
            "beyond",
            "larger",
        ),
        (
            json!({ "a": [{ "numeric": [">", 0.0000001] }] }),
            "/a/0/numeric",
            "six decimals",
            "round",
        ),
        (json!({ "$or": { "a": [1] } }), "/$or", "takes an array", "$or"),
        (json!({ "$or": [{ "a": [1] }] }), "/$or", "at least two", "$or"),
        (json!({ "$or": [{ "a": [1] }, 5] }), "/$or/1", "objects", "$or"),
        (json!({ "$or": [{ "a": [1] }, {}] }), "/$or/1", "empty object", "name a field"),
        (
            json!({ "$or": [{ "a": [1] }, { "numeric": [5] }] }),
            "/$or/1/numeric",
            "inside `$or`",
            "array",
        ),
        (json!({ "a": { "b": [1] }, "a.b": [2] }), "/a.b", "`a.b` is named twice", "one array"),
        (
            json!({ "a": [1], "$or": [{ "a": [2] }, { "b": [2] }] }),
            "/$or/0/a",
            "named twice",
            "one array",
        ),
    ] {
        let error = error(&pattern);
        assert_eq!(error.pointer, pointer, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(error.help.contains(help), "{error}");
    }
}

#[test]
fn patterns_have_limits() {
    let fits = json!({ "a": ["x".repeat(super::PATTERN_CHARS_MAX - 10)] });
    assert!(Pattern::compile(&fits).is_ok());
    let longer = json!({ "a": ["x".repeat(super::PATTERN_CHARS_MAX - 9)] });
    assert!(error(&longer).message.contains("4097 characters"));
    // Parallel `$or` multiply: 2^9 ways are taken, 2^10 aren't.
    let ors = |count: usize| {
        let or = json!({ "$or": [{ "x": [1] }, { "y": [1] }] });
        Value::Object((0..count).map(|index| (format!("f{index}"), or.clone())).collect())
    };
    assert!(Pattern::compile(&ors(9)).is_ok());
    assert!(error(&ors(10)).message.contains("more than 1000 ways"));
    let deep = |depth: usize| (0..depth).fold(json!([1]), |inner, _| json!({ "a": inner }));
    assert!(Pattern::compile(&deep(127)).is_ok());
    assert!(error(&deep(128)).message.contains("levels"));
    // As many conditions as the characters allow.
    let many = Value::Object(
        (0..400)
            .map(|index| (char::from_u32(0x4e00 + index).unwrap().to_string(), json!([1])))
            .collect(),
    );
    let pattern = compiled(&many);
    let event = Value::Object(
        many.as_object().unwrap().keys().map(|name| (name.clone(), json!(1))).collect(),
    );
    assert!(pattern.matches(event.to_string().as_bytes()));
}

#[test]
fn large_arrays_take_time_in_proportion() {
    // Quadratic work would take minutes here, with every combination of elements for ever.
    let element = |index: u32| json!({ "a": index % 2, "b": (index + 1) % 2, "c": 1 });
    let list: Vec<_> = (0..20_000).map(element).collect();
    let event = json!({ "l": list, "m": list, "n": list }).to_string();
    let pattern = |last: u32| {
        compiled(&json!({
            "l": { "a": [1], "c": [1] }, "m": { "a": [0], "b": [1] }, "n": { "a": [1], "b": [last] },
        }))
    };
    assert!(pattern(0).matches(event.as_bytes()));
    assert!(!pattern(1).matches(event.as_bytes()));
}
