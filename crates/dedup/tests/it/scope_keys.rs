//! What makes two events the same.

use std::collections::HashMap;

use dedup::key::{BodyKey, KeyMaker, KeyProblem, KeyValue};
use event::Offset;
use event::json::{Canonical, NoCanonicalForm, Raw};
use proptest::prelude::*;

const SECRET: [u8; 16] = *b"0123456789abcdef";

fn key_of(maker: &KeyMaker, event_type: &str, values: &[&str]) -> Result<u128, KeyProblem> {
    let values: Vec<Option<Raw<'_>>> =
        values.iter().map(|value| Some(Raw::new(value.as_bytes()))).collect();
    maker.key(event_type.as_bytes(), &values, &mut b"left over".to_vec())
}

fn key(event_type: &str, values: &[&str]) -> u128 {
    key_of(&KeyMaker::new(&SECRET, false, values.len()), event_type, values).unwrap()
}

fn body_key(event_type: &str, body: &[u8]) -> Result<BodyKey, KeyProblem> {
    let maker = KeyMaker::new(&SECRET, false, 0);
    maker.body_key(event_type.as_bytes(), body, &mut Canonical::default(), &mut vec![1])
}

fn attributes() -> [Option<KeyValue<'static>>; 4] {
    [
        Some(KeyValue::Text(b"a\xc3\xa9")),
        Some(KeyValue::Number(b"-1.50")),
        Some(KeyValue::Number(b"0x17")),
        Some(KeyValue::Bytes(b"\0\xff")),
    ]
}

#[test]
fn keys_are_frozen() {
    // On disk, so for ever. A change of any of these needs a new encoding with a name of its own.
    let across = KeyMaker::new(&SECRET, true, 1);
    let maker = KeyMaker::new(&SECRET, false, 4);
    let found = [
        key("IOT_EVENT", &["\"2f0c\""]),
        key("IOT_EVENT", &["17", "true", "\"a\\u00e9\"", "-1.50"]),
        key_of(&across, "IOT_EVENT", &["\"2f0c\""]).unwrap(),
        u128::from(maker.body_hash(b"")),
        u128::from(maker.body_hash(br#"{"a":1}"#)),
        u128::from(maker.body_hash(&[b'x'; 1_000])),
        body_key("IOT_EVENT", br#"{"b":[1.0,null],"a":"\u0041"}"#).unwrap().key,
        u128::from(body_key("IOT_EVENT", b"{}").unwrap().body_hash),
        across.raw_body_key(b"", br#"{"b":1}"#, &mut Vec::new()),
        maker.broker_key(
            b"",
            &["kinesis:s/", "shardId-0"],
            Offset::from_parts(1, 2),
            &mut Vec::new(),
        ),
        maker.key(b"", &attributes(), &mut Vec::new()).unwrap(),
    ];
    let found = found.map(|key| format!("{key:#x}"));
    assert_eq!(found, FROZEN);
}

const FROZEN: [&str; 11] = [
    "0x3b9df31ec888db4675168c2ed1182692",
    "0xbf82f24c204dcf50347a14ef8b6ef04",
    "0x732c5404f9cb67e45b55b6b0150290fc",
    "0x927e14963d1db21",
    "0xf0d091a43489a636",
    "0x1e9f2467cc8c4604",
    "0x3cb5482286b8ba9cb37279ddc3003808",
    "0x55683c900cc79e76",
    "0xaa90f23ba60dcc78cca966e5d5c62b9c",
    "0xbf49f7595521584ce69e6bc97c3e6541",
    "0x58af37d33a855b5748066c3ddd7adb56",
];

#[test]
fn the_key_includes_the_event_type() {
    assert_ne!(key("IOT_EVENT", &["\"1\""]), key("IPAD_EVENT", &["\"1\""]));
    let across = KeyMaker::new(&SECRET, true, 1);
    let of = |event_type| key_of(&across, event_type, &["\"1\""]).unwrap();
    assert_eq!(of("IOT_EVENT"), of("IPAD_EVENT"));
    assert_ne!(of("IOT_EVENT"), key("IOT_EVENT", &["\"1\""]));
}

#[test]
fn composites_do_not_collide() {
    let mut seen = HashMap::new();
    for (event_type, values) in [
        ("", &["\"ab\"", "\"c\""][..]),
        ("", &["\"a\"", "\"bc\""]),
        ("", &["\"abc\"", "\"\""]),
        ("", &["\"\"", "\"abc\""]),
        ("", &["\"abc\""]),
        ("a", &["\"b\"", "\"c\""]),
        ("abc", &["\"\"", "\"\""]),
        ("abc", &["\"\""]),
        ("", &["1", "2"]),
        ("", &["12", "\"\""]),
        ("", &["\"1\"", "2"]),
        ("", &["1", "\"2\""]),
        ("", &["12"]),
        ("", &["\"12\""]),
        ("", &["true"]),
        ("", &["\"true\""]),
        ("", &["\"t\""]),
        ("", &["false", "true"]),
        ("", &["true", "false"]),
        ("", &["\"s\\u0001\\u0000\\u0000\\u0000x\""]),
        ("", &["\"s\"", "\"x\""]),
        // Without lengths, these two would be one.
        ("", &["\"a\"", "\"s\\u0000\\u0000\\u0000\\u0000b\""]),
        ("", &["\"as\\u0000\\u0000\\u0000\\u0000\"", "\"b\""]),
    ] {
        let before = seen.insert(key(event_type, values), (event_type, values));
        assert_eq!(before, None, "{event_type} {values:?}");
    }
}

#[test]
fn escapes_are_one_key() {
    for (a, b) in [
        (r#""A""#, r#""\u0041""#),
        (r#""a/b""#, r#""a\/b""#),
        (r#""é""#, r#""\u00e9""#),
        (r#""😀""#, r#""\ud83d\ude00""#),
        (r#""x\ny""#, r#""x\u000ay""#),
        (r#""\"""#, r#""\u0022""#),
    ] {
        assert_eq!(key("T", &[a]), key("T", &[b]), "{a} {b}");
    }
    assert_ne!(key("T", &[r#""\\u0041""#]), key("T", &[r#""A""#]));
    // Two ways to write é in Unicode are two texts.
    assert_ne!(key("T", &["\"e\u{301}\""]), key("T", &["\"\u{e9}\""]));
}

#[test]
fn numbers_by_value() {
    for (a, b) in [("1", "1.0"), ("100", "1e2"), ("-0", "0"), ("1.50", "15e-1"), ("0.0", "0e7")] {
        assert_eq!(key("T", &[a]), key("T", &[b]), "{a} {b}");
    }
    for (a, b) in [("1", "-1"), ("9007199254740993", "9007199254740992"), ("0.1", "1"), ("1", "10")]
    {
        assert_ne!(key("T", &[a]), key("T", &[b]), "{a} {b}");
    }
}

#[test]
fn what_makes_no_key_is_named() {
    let maker = KeyMaker::new(&SECRET, false, 2);
    let fine = "\"x\"";
    let huge = "7".repeat(2_000);
    for (value, problem, reason) in [
        ("null", KeyProblem::Null(1), "key_null"),
        ("{}", KeyProblem::NotScalar(1), "key_not_scalar"),
        ("[1]", KeyProblem::NotScalar(1), "key_not_scalar"),
        (r#""\ud800""#, KeyProblem::NotText(1), "key_not_text"),
        (&huge, KeyProblem::NumberTooBig(1), "key_number_too_big"),
        ("1e99999999", KeyProblem::NumberTooBig(1), "key_number_too_big"),
    ] {
        assert_eq!(key_of(&maker, "T", &[fine, value]), Err(problem), "{value}");
        assert_eq!((problem.reason(), problem.field()), (reason, Some(1)));
    }
    let values = [Some(Raw::new(fine.as_bytes())), None];
    let missing = maker.key(b"T", &values, &mut Vec::new()).unwrap_err();
    assert_eq!((missing, missing.reason()), (KeyProblem::Missing(1), "key_missing"));
    assert_eq!(key_of(&maker, "T", &[fine]), Err(KeyProblem::Missing(1)));
}

#[test]
fn an_attribute_and_a_field_of_one_value_are_one_key() {
    let maker = KeyMaker::new(&SECRET, false, 1);
    let of = |value| maker.key(b"T", &[Some(value)], &mut Vec::new()).unwrap();
    assert_eq!(of(KeyValue::Text(b"A\n")), key("T", &[r#""\u0041\n""#]));
    assert_eq!(of(KeyValue::Number(b"1.50")), key("T", &["15e-1"]));
    assert_eq!(of(KeyValue::Number(b"+1")), key("T", &["\"+1\""]), "no number in JSON");
    assert_ne!(of(KeyValue::Text(b"1")), key("T", &["1"]));
    assert_ne!(of(KeyValue::Bytes(b"1")), key("T", &["\"1\""]));
}

#[test]
fn a_whole_body_is_one_key_however_it_is_spelled() {
    let of = |body: &str| body_key("T", body.as_bytes()).unwrap();
    let one = of(r#"{"a":1,"b":["x"]}"#);
    assert_eq!(of("{ \"b\" : [\"\\u0078\"], \"a\": 1.0 }"), one);
    assert_ne!(of(r#"{"a":1,"b":["y"]}"#), one);
    assert_ne!(body_key("U", br#"{"a":1,"b":["x"]}"#).unwrap().key, one.key);
    let maker = KeyMaker::new(&SECRET, false, 1);
    let raw = |body: &str| maker.raw_body_key(b"T", body.as_bytes(), &mut Vec::new());
    assert_ne!(raw("{}"), raw("{ }"));
    assert_ne!(raw("{}"), of("{}").key);
    for (body, reason) in [
        (r#"{"a":1,"a":1}"#, "key_body_name_twice"),
        (r#"{"a":"\ud800"}"#, "key_body_not_text"),
        (r#"{"a":1e99999999}"#, "key_body_number_too_big"),
        ("{", "key_body_not_json"),
    ] {
        let problem = body_key("T", body.as_bytes()).unwrap_err();
        assert_eq!((problem.reason(), problem.field()), (reason, None), "{body}");
        assert!(matches!(problem, KeyProblem::Body(_)), "{problem}");
    }
    let twice = KeyProblem::Body(NoCanonicalForm::NameTwice(13));
    assert_eq!(body_key("T", br#"{"a":1,"a":1}"#), Err(twice));
}

#[test]
fn a_brokers_id_is_shard_and_place() {
    let maker = KeyMaker::new(&SECRET, false, 1);
    let of = |shard: &[&str], at| maker.broker_key(b"T", shard, at, &mut Vec::new());
    let one = of(&["a", "b"], Offset::from(7));
    assert_eq!(of(&["ab"], Offset::from(7)), one);
    assert_ne!(of(&["ab"], Offset::from(8)), one);
    assert_ne!(of(&["ab"], Offset::from_parts(7, 0)), one);
    assert_ne!(of(&["abc"], Offset::from(7)), one);
}

#[test]
fn every_scope_has_keys_of_its_own() {
    let other = KeyMaker::new(b"0123456789abcdeF", false, 1);
    assert_ne!(key_of(&other, "T", &["1"]).unwrap(), key("T", &["1"]));
    assert_ne!(other.body_hash(b"x"), KeyMaker::new(&SECRET, false, 1).body_hash(b"x"));
    assert!(!format!("{other:?}").contains("48"), "the secret is not shown");
}

proptest! {
    /// Texts are one key exactly when they are one text, escaped or not.
    #[test]
    fn keys_are_one_exactly_when_values_are(
        a in prop::collection::vec("[aé\"\\\\\u{0}😀/]{0,3}", 1..3),
        b in prop::collection::vec("[aé\"\\\\\u{0}😀/]{0,3}", 1..3),
        escaped in any::<bool>(),
    ) {
        let plain = |text: &String| serde_json::to_string(text).unwrap();
        let other = |text: &String| {
            if !escaped {
                return plain(text);
            }
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            format!("\"{}\"", units.collect::<String>())
        };
        let (left, right): (Vec<_>, Vec<_>) =
            (a.iter().map(plain).collect(), b.iter().map(other).collect());
        let left = key("T", &left.iter().map(String::as_str).collect::<Vec<_>>());
        let right = key("T", &right.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(left == right, a == b);
    }
}
