//! A corner of each operator a test.

use super::*;
use crate::config::PatternKind;

#[test]
fn suffix_works_on_texts_only() {
    check(
        &json!({ "a": [{ "suffix": ".png" }] }),
        &[json!({"a": ".png"}), json!({"a": "x.png"}), json!({"a": [1, "ü.png"]})],
        &[json!({"a": ".pngx"}), json!({"a": "png"}), json!({"a": ".PNG"}), json!({"a": 1})],
    );
    check(&json!({ "a": [{ "suffix": "" }] }), &[json!({"a": ""})], &[json!({"a": 1}), json!({})]);
    // The suffix's quote is one of the text, not the end of the event's string.
    check(
        &json!({ "a": [{ "suffix": "\"" }] }),
        &[json!({"a": "x\""})],
        &[json!({"a": "x"}), json!({"a": "\\"})],
    );
    // A backslash before the end belongs to an escape.
    let pattern = compiled(&json!({ "a": [{ "suffix": "u0041" }] }));
    assert!(!pattern.matches(br#"{"a":"\u0041"}"#));
    assert!(pattern.matches(br#"{"a":"\\u0041"}"#));
}

#[test]
fn case_is_ignored_character_by_character() {
    check(
        &json!({ "a": [{ "equals-ignore-case": "aÉß" }] }),
        &[json!({"a": "aÉß"}), json!({"a": "Aéß"}), json!({"a": "AéSS"})],
        &[json!({"a": "aEß"}), json!({"a": "aÉss"}), json!({"a": "aÉßx"}), json!({"a": "aÉ"})],
    );
    // The event's characters are taken as they are.
    check(
        &json!({ "a": [{ "equals-ignore-case": "SS" }] }),
        &[json!({"a": "ss"}), json!({"a": "Ss"})],
        &[json!({"a": "ß"})],
    );
    // Only the Kelvin sign folds to k, not the other way round.
    check(
        &json!({ "a": [{ "equals-ignore-case": "\u{212A}" }] }),
        &[json!({"a": "k"}), json!({"a": "\u{212A}"})],
        &[json!({"a": "K"})],
    );
    check(
        &json!({ "a": [{ "prefix": { "equals-ignore-case": "EventB" } }] }),
        &[json!({"a": "eventbridge"}), json!({"a": "EVENTB"})],
        &[json!({"a": "event"}), json!({"a": "xeventb"}), json!({"a": 1})],
    );
    check(
        &json!({ "a": [{ "suffix": { "equals-ignore-case": ".Pßg" } }] }),
        &[json!({"a": "x.PSSG"}), json!({"a": ".pßG"})],
        &[json!({"a": ".pssg"}), json!({"a": "pßg"}), json!({"a": ".pßgx"})],
    );
    check(&json!({ "a": [{ "equals-ignore-case": "" }] }), &[json!({"a": ""})], &[json!({"a": 0})]);
}

#[test]
fn an_asterisk_stands_for_any_characters() {
    check(
        &json!({ "a": [{ "wildcard": "Simple*Service" }] }),
        &[json!({"a": "SimpleService"}), json!({"a": "Simple \n\"ü Service"})],
        &[json!({"a": "SimpleServic"}), json!({"a": "simpleService"}), json!({"a": "Simple"})],
    );
    // Parts don't overlap.
    check(
        &json!({ "a": [{ "wildcard": "ab*ba" }] }),
        &[json!({"a": "abba"}), json!({"a": "ab-ba"})],
        &[json!({"a": "aba"}), json!({"a": "ab"})],
    );
    check(
        &json!({ "a": [{ "wildcard": "*a*ab*" }] }),
        &[json!({"a": "aab"}), json!({"a": "xaxabx"})],
        &[json!({"a": "ab"}), json!({"a": "abab"[..3]})],
    );
    check(
        &json!({ "a": [{ "wildcard": "*" }] }),
        &[json!({"a": ""}), json!({"a": "x"})],
        &[json!({"a": 1}), json!({"a": null}), json!({})],
    );
    check(&json!({ "a": [{ "wildcard": "" }] }), &[json!({"a": ""})], &[json!({"a": "x"})]);
    check(
        &json!({ "a": [{ "wildcard": "\\*\\\\*" }] }),
        &[json!({"a": "*\\"}), json!({"a": "*\\x"})],
        &[json!({"a": "x\\"}), json!({"a": "*"})],
    );
    // Many holes take time in proportion, whatever the event.
    let holes = compiled(&json!({ "a": [{ "wildcard": "*a".repeat(400) }] }));
    assert!(!holes.matches(json!({ "a": "a".repeat(1_000_000) + "b" }).to_string().as_bytes()));
}

#[test]
fn cidr_takes_texts_that_are_addresses() {
    check(
        &json!({ "ip": [{ "cidr": "10.0.0.0/24" }] }),
        &[json!({"ip": "10.0.0.0"}), json!({"ip": ["x", "10.0.0.255"]})],
        &[
            json!({"ip": "10.0.1.0"}),
            json!({"ip": "10.0.0"}),
            json!({"ip": "10.0.0.0/24"}),
            json!({"ip": ""}),
            json!({"ip": 10}),
            json!({"ip": null}),
            json!({"ip": "2001:db8::1"}),
        ],
    );
    check(
        &json!({ "ip": [{ "cidr": "2001:db8::/33" }] }),
        &[json!({"ip": "2001:DB8:7fff::1"})],
        &[json!({"ip": "2001:db8:8000::"}), json!({"ip": "10.0.0.1"})],
    );
}

#[test]
fn anything_but_takes_operators_with_one_text_or_several() {
    check(
        &json!({ "a": [{ "anything-but": { "suffix": [".png", ".jpg"] } }] }),
        &[json!({"a": "x.gif"}), json!({"a": 1}), json!({"a": ["x.png", "x.txt"]})],
        &[json!({"a": "x.png"}), json!({"a": ["x.png", "y.jpg"]}), json!({})],
    );
    check(
        &json!({ "a": [{ "anything-but": { "equals-ignore-case": ["on", "off"] } }] }),
        &[json!({"a": "no"}), json!({"a": null})],
        &[json!({"a": "ON"}), json!({"a": "Off"}), json!({"a": []})],
    );
    check(
        &json!({ "a": [{ "anything-but": { "wildcard": ["*/lib/*", "*.o"] } }] }),
        &[json!({"a": "/usr/bin/x"}), json!({"a": true})],
        &[json!({"a": "/usr/lib/x"}), json!({"a": "x.o"})],
    );
    // Every text has the form `*`; what is no text is left.
    check(
        &json!({ "a": [{ "anything-but": { "wildcard": "*" } }] }),
        &[json!({"a": 1}), json!({"a": null})],
        &[json!({"a": ""}), json!({"a": "x"}), json!({})],
    );
}

#[test]
fn null_missing_and_empty_are_three_things() {
    check(
        &json!({ "a": [null] }),
        &[json!({"a": null})],
        &[json!({}), json!({"a": ""}), json!({"a": []})],
    );
    check(
        &json!({ "a": [""] }),
        &[json!({"a": ""})],
        &[json!({}), json!({"a": null}), json!({"a": 0})],
    );
    check(
        &json!({ "a": [{ "exists": false }] }),
        &[json!({}), json!({"a": []}), json!({"a": {}}), json!({"a": [[]]})],
        &[json!({"a": null}), json!({"a": ""})],
    );
}

#[test]
fn numbers_go_by_value_and_never_by_text() {
    let one = compiled(&json!({ "a": [1] }));
    for same in ["1", "1.0", "1e0", "10E-1", "0.1e+1"] {
        assert!(one.matches(format!(r#"{{"a":{same}}}"#).as_bytes()), "{same}");
    }
    for other in [r#""1""#, r#""1.0""#, "true", "[]", "1.0000000000000000000001", "-1"] {
        assert!(!one.matches(format!(r#"{{"a":{other}}}"#).as_bytes()), "{other}");
    }
    let precise = compiled(&json!({ "a": [{ "numeric": ["=", 4_999_999_999.999_999] }] }));
    assert!(precise.matches(br#"{"a":4999999999.999999}"#));
    assert!(!precise.matches(br#"{"a":4999999999.999998}"#));
}

#[test]
fn arrays_of_objects_stay_together_through_or_and_anything_but() {
    let pattern = json!({ "l": { "k": [{ "wildcard": "a*" }], "$or": [
        { "v": [{ "numeric": [">", 5] }] },
        { "w": [{ "anything-but": { "prefix": "x" } }] } ] } });
    check(
        &pattern,
        &[
            json!({"l": [{"k": "b", "v": 1}, {"k": "ab", "v": 6}]}),
            json!({"l": [[{"k": "ab"}, {"k": "ac", "w": 1}], {"w": "x"}]}),
            json!({"l": {"k": ["b", "a"], "w": ["x", "y"]}}),
        ],
        &[
            json!({"l": [{"k": "b", "v": 6}, {"k": "ab", "v": 1}]}),
            json!({"l": [{"k": "ab", "w": "x"}, {"w": "y"}]}),
            json!({"l": []}),
        ],
    );
}

#[test]
fn pipes_have_fewer_operators() {
    for taken in [
        json!({ "a": [{ "prefix": { "equals-ignore-case": "x" } }, { "suffix": "x" }] }),
        json!({ "a": [{ "equals-ignore-case": "x" }, { "cidr": "10.0.0.0/8" }, null, ""] }),
        json!({ "$or": [{ "a": [{ "anything-but": ["x"] }] }, { "b": [{ "numeric": ["<", 1] }] }] }),
    ] {
        assert!(Pattern::compile_kind(&taken, PatternKind::Pipes).is_ok(), "{taken}");
    }
    for (refused, pointer, what) in [
        (json!({ "a": [{ "wildcard": "x" }] }), "/a/0/wildcard", "`wildcard`"),
        (
            json!({ "a": [{ "anything-but": { "prefix": "x" } }] }),
            "/a/0/anything-but/prefix",
            "`anything-but` of an operator",
        ),
        (
            json!({ "a": [1, { "anything-but": { "wildcard": "x" } }] }),
            "/a/1/anything-but/wildcard",
            "`anything-but` of an operator",
        ),
    ] {
        let error = Pattern::compile_kind(&refused, PatternKind::Pipes).unwrap_err();
        assert_eq!(error.pointer, pointer);
        assert_eq!(error.message, format!("EventBridge Pipes has no {what}"));
        assert!(Pattern::compile(&refused).is_ok(), "{refused}");
    }
}

#[test]
fn mistakes_of_operators_are_named() {
    for (alternative, pointer, message, help) in [
        (json!({ "suffix": 1 }), "/suffix", "takes a text", "quotes"),
        (json!({ "suffix": {} }), "/suffix", "equals-ignore-case", r#""suffix": {"#),
        (json!({ "prefix": { "suffix": "x" } }), "/prefix", "nothing else", r#""prefix": {"#),
        (
            json!({ "prefix": { "equals-ignore-case": ["x"] } }),
            "/prefix/equals-ignore-case",
            "takes a text",
            "quotes",
        ),
        (json!({ "equals-ignore-case": null }), "/equals-ignore-case", "takes a text", "quotes"),
        (json!({ "wildcard": "a**b" }), "/wildcard", "in a row", "also for none"),
        (json!({ "wildcard": "a\\b" }), "/wildcard", "backslash", r"\\*"),
        (json!({ "wildcard": "a\\" }), "/wildcard", "backslash", r"\\*"),
        (json!({ "cidr": "10.0.0.0" }), "/cidr", "no `/`", "10.0.0.0/24"),
        (json!({ "cidr": "10.0.0.0/33" }), "/cidr", "at most 32 bits", "10.0.0.0/24"),
        (json!({ "cidr": "::/129" }), "/cidr", "at most 128 bits", "10.0.0.0/24"),
        (json!({ "cidr": "host/24" }), "/cidr", "no address", "10.0.0.0/24"),
        (json!({ "cidr": 10 }), "/cidr", "takes a text", "quotes"),
        (
            json!({ "anything-but": { "suffix": "" } }),
            "/anything-but/suffix",
            "no text would match",
            "one character",
        ),
        (
            json!({ "anything-but": { "prefix": ["x", 1] } }),
            "/anything-but/prefix",
            "takes a text",
            "quotes",
        ),
        (
            json!({ "anything-but": { "wildcard": [] } }),
            "/anything-but/wildcard",
            "nothing",
            "write",
        ),
        (
            json!({ "anything-but": { "wildcard": "**" } }),
            "/anything-but/wildcard",
            "in a row",
            "none",
        ),
        (
            json!({ "anything-but": { "cidr": "10.0.0.0/8" } }),
            "/anything-but/cidr",
            "doesn't take",
            "prefix, suffix",
        ),
        (json!({ "Suffix": "x" }), "/Suffix", "unknown operator", "`suffix`"),
        (json!({ "wildcards": "x" }), "/wildcards", "unknown operator", "`wildcard`"),
        (json!({ "regex": "x" }), "/regex", "unknown operator", "there are prefix"),
    ] {
        let error = error(&json!({ "a": [alternative] }));
        assert_eq!(error.pointer, format!("/a/0{pointer}"), "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(error.help.contains(help), "{error}");
    }
}

#[test]
fn what_can_never_match_is_warned_of() {
    let warnings = |pattern: Value| compiled(&pattern).warnings();
    assert_eq!(
        warnings(json!({ "o": { "a": [{ "numeric": [">", 5e9] }] }, "b": ["x"] })),
        [
            "event pattern: it can never match any event",
            "event pattern at `/o/a`: this field can never match: `numeric` sees no number above 5e9",
        ]
    );
    // One branch of `$or`, or one alternative, isn't the whole.
    assert_eq!(
        warnings(json!({ "$or": [{ "a": [{ "numeric": ["<", -5e9] }] }, { "b": [1] }] })),
        [
            "event pattern at `/$or/0/a`: this field can never match: `numeric` sees no number below -5e9"
        ]
    );
    assert_eq!(
        warnings(json!({ "a": [{ "numeric": [">", 5e9] }, 1] })),
        [
            "event pattern at `/a`: one alternative of this field can never match: `numeric` sees no number above 5e9"
        ]
    );
    assert_eq!(warnings(json!({ "a": [{ "numeric": [">", 5e9] }, { "exists": false }] })).len(), 1);
    for fine in [
        json!({ "a": [{ "numeric": [">=", 5e9] }] }),
        json!({ "a": [{ "numeric": [">", 1, "<", 1.000001] }] }),
        // Only leaves count: a parent may be missing as a value and have a child.
        json!({ "a": [{ "exists": false }], "a.b": [{ "exists": true }] }),
        json!({ "a": ["x"], "a.b": ["y"] }),
        json!({ "a": [{ "anything-but": { "wildcard": "*" } }] }),
    ] {
        assert!(warnings(fine.clone()).is_empty(), "{fine}");
    }
    // And those do match.
    check(
        &json!({ "a": [{ "exists": false }], "a.b": [{ "exists": true }] }),
        &[json!({"a": {"b": 1}})],
        &[json!({"a": [1, {"b": 1}]})],
    );
    assert!(
        compiled(&json!({ "a": [{ "numeric": [">", 1, "<", 1.000001] }] }))
            .matches(br#"{"a":1.0000005}"#)
    );
}

#[test]
fn a_pattern_in_text_must_name_each_field_once() {
    let parse = |text| Pattern::parse(text, PatternKind::EventBridge);
    assert!(
        parse(r#"{"a":["x"],"b":{"a":["x"]}}"#).unwrap().matches(br#"{"a":"x","b":{"a":"x"}}"#)
    );
    for (text, pointer, message) in [
        (r#"{"a":["x"],"a":["y"]}"#, "/a", "`a` stands twice"),
        (r#"{"a":["x"],"\u0061":["y"]}"#, "/a", "`a` stands twice"),
        (
            r#"{"o":{"x/y":[{"prefix":"a","prefix":"b"}]}}"#,
            "/o/x~1y/0/prefix",
            "`prefix` stands twice",
        ),
        (r#"{"a":["x"]"#, "", "no JSON"),
        ("", "", "no JSON"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.pointer, pointer, "{error}");
        assert!(error.message.contains(message), "{error}");
    }
}
