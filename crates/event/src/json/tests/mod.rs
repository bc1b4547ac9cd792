//! What a scan takes, what it refuses, and where it says that fields stand: by hand, in the way
//! of the JSONTestSuite, and against serde_json on generated documents.

mod generated;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::*;
use crate::path::{FieldPath, Step};

/// So many generated cases, the same ones in every run; `PROPTEST_CASES` gives more of them.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(0x0ce_f10e), ..default }
}

fn selection(paths: &[&str]) -> Selection {
    Selection::new(&paths.iter().map(|path| FieldPath::parse(path).unwrap()).collect::<Vec<_>>())
}

/// Scans `json` as it stands alone; the other way to find strings, and other bytes right behind
/// it, must make no difference.
fn scan(selection: &Selection, json: &[u8]) -> Result<Found, JsonError> {
    let mut found = Found::default();
    let result = selection.scan(json, &mut found);
    let same = |again: Result<(), JsonError>, spans: &Found| {
        assert_eq!(again, result, "{}", json.escape_ascii());
        for index in 0..selection.paths().len() {
            assert!(result.is_err() || spans.span(index) == found.span(index));
        }
    };
    let mut other = Found::default();
    same(selection.scan_searching(json, &mut other), &other);
    for behind in [&[b'"'; 64][..], &[b'7'; 64], &[b' '; 64], &[0xff; 64]] {
        let longer = [json, behind].concat();
        let (part, _) = longer.split_at(json.len());
        same(selection.scan(part, &mut other), &other);
    }
    result.map(|()| found)
}

fn check(json: &[u8]) -> Result<(), JsonError> {
    scan(&selection(&["$.a"]), json).map(|_| ())
}

fn selected<'a>(paths: &[&str], json: &'a str) -> Result<Vec<Option<&'a str>>, JsonError> {
    let selection = selection(paths);
    let found = scan(&selection, json.as_bytes())?;
    let texts = (0..paths.len()).map(|index| {
        found.get(json.as_bytes(), index).map(|raw| std::str::from_utf8(raw.bytes()).unwrap())
    });
    Ok(texts.collect())
}

/// Every value in three places: selected, not selected, deep inside.
fn around(value: &[u8]) -> Vec<Vec<u8>> {
    [
        (&b"{\"a\":"[..], &b"}"[..]),
        (b"{\"b\":", b"}"),
        (b" { \"some longer name\" : [ {\"a\":0} , ", b" ] , \"a\" : true } \r\n"),
    ]
    .iter()
    .map(|(before, after)| [before, value, after].concat())
    .collect()
}

#[test]
fn valid_values_pass() {
    let values: &[&[u8]] = &[
        b"0",
        b"-0",
        b"1",
        b"-12",
        b"1234567890123456",
        b"12345678901234567890123",
        b"0.5",
        b"-0.0",
        b"1e5",
        b"1E-05",
        b"1e+0",
        b"0e0",
        b"123.456e78",
        b"1e9999",
        b"true",
        b"false",
        b"null",
        b"\"\"",
        b"\"a\"",
        b"\"15 bytes of str\"",
        b"\"16 bytes of stri\"",
        b"\"a string that is longer than a block of thirty-two bytes, twice as long at least\"",
        br#""\"\\\/\b\f\n\r\t""#,
        br#""\u0000\u00E9\ud83d\ude00""#,
        br#""\ud800""#,
        br#""a \\\\\" b""#,
        b"\"\x7f\"",
        "\"é€😀\"".as_bytes(),
        "\"\u{2028}\u{feff}\"".as_bytes(),
        b"[]",
        b"{}",
        b"[ ]",
        b"{ }",
        b"[1]",
        b"[[],[[]],{}]",
        b"[ 1 , \"2\" ,\tnull\r\n]",
        b"{\"\":0}",
        b"{\"x\":{\"x\":[{\"x\":1}]},\"x\":2}",
        b"{ \"x\" : 1 , \"y\" : [ ] }",
    ];
    for value in values {
        for json in around(value) {
            assert_eq!(check(&json), Ok(()), "{}", json.escape_ascii());
        }
    }
}

#[test]
fn invalid_values_are_refused() {
    use Expected::*;
    use JsonErrorKind::*;
    let values: &[(&[u8], usize, JsonErrorKind)] = &[
        (b"", 0, Broken(Value)),
        (b"tru", 0, Broken(Literal)),
        (b"nul1", 0, Broken(Literal)),
        (b"fals3", 0, Broken(Literal)),
        (b"True", 0, Broken(Value)),
        (b"NaN", 0, Broken(Value)),
        (b"-Infinity", 1, Broken(Digit)),
        (b"+1", 0, Broken(Value)),
        (b".5", 0, Broken(Value)),
        (b"-", 1, Broken(Digit)),
        (b"-.5", 1, Broken(Digit)),
        (b"1.", 2, Broken(Digit)),
        (b"1.e5", 2, Broken(Digit)),
        (b"1e", 2, Broken(Digit)),
        (b"1e+", 3, Broken(Digit)),
        (b"12345678901234567.", 18, Broken(Digit)),
        (b"'a'", 0, Broken(Value)),
        (b"/**/1", 0, Broken(Value)),
        (b"\xff", 0, Broken(Value)),
        (b"\xef\xbb\xbf1", 0, Broken(Value)),
        (b"\x00", 0, Broken(Value)),
        (b"\x0c1", 0, Broken(Value)),
        (b"\"\x00\"", 1, ControlCharacter),
        (b"\"ab\ncd\"", 3, ControlCharacter),
        (b"\"a string of more than thirty-two bytes and then\x1f\"", 48, ControlCharacter),
        (br#""\x""#, 2, Broken(Escape)),
        (br#""\U0041""#, 2, Broken(Escape)),
        (b"\"\\\x00\"", 2, Broken(Escape)),
        (br#""\u00g0""#, 3, Broken(HexDigits)),
        (br#""\u00""#, 3, Broken(HexDigits)),
        (br#""\u+123""#, 3, Broken(HexDigits)),
        (b"[1,]", 3, Broken(Value)),
        (b"[,1]", 1, Broken(Value)),
        (b"[1,,2]", 3, Broken(Value)),
        (b"[1 2]", 3, Broken(CommaOrBracket)),
        (b"[1:2]", 2, Broken(CommaOrBracket)),
        (b"[1}", 2, Broken(CommaOrBracket)),
        (b"{]", 1, Broken(Name)),
        (b"{1:1}", 1, Broken(Name)),
        (b"{a:1}", 1, Broken(Name)),
        (b"{'a':1}", 1, Broken(Name)),
        (b"{,}", 1, Broken(Name)),
        (b"{\"x\"}", 4, Broken(Colon)),
        (b"{\"x\" 1}", 5, Broken(Colon)),
        (b"{\"x\"::1}", 5, Broken(Value)),
        (b"{\"x\":}", 5, Broken(Value)),
        (b"{\"x\":1,}", 7, Broken(Name)),
        (b"{\"x\":1 \"y\":2}", 7, Broken(CommaOrBrace)),
        (b"{\"x\":1]", 6, Broken(CommaOrBrace)),
        (b"{\"x\",1}", 4, Broken(Colon)),
    ];
    for (value, at, what) in values {
        for json in around(value) {
            let start = json.windows(value.len().max(1)).position(|w| w == *value);
            let start = start.filter(|_| !value.is_empty());
            let error = check(&json).expect_err(&json.escape_ascii().to_string());
            assert_eq!(error.what, *what, "{}", json.escape_ascii());
            assert!(
                start.is_none_or(|start| error.at == start + at),
                "{} {error}",
                json.escape_ascii()
            );
        }
    }
    // What follows a number or a literal can only be told from around it.
    for value in ["01", "-01", "00", "1a", "0x1", "1_000", "1.2.3", "1e5.5", "truex", "nulll"] {
        for json in around(value.as_bytes()) {
            let error = check(&json).expect_err(value);
            assert_eq!(error.name(), "json_broken", "{value}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let values: &[(&[u8], usize)] = &[
        (b"\"\xff\"", 1),
        (b"\"\x80\"", 1),
        (b"\"ok \xc3\"", 4),
        (b"\"\xc0\xaf\"", 1),
        (b"\"\xed\xa0\x80\"", 1),
        (b"\"\xf4\x90\x80\x80\"", 1),
        (b"\"escaped \\n and \xe2\x82\"", 16),
        (b"{\"n\xff\":1}", 3),
        (b"\"a string of more than thirty-two bytes and then\xff, and more of it\"", 48),
    ];
    for (value, at) in values {
        for json in around(value) {
            let start = json.windows(value.len()).position(|w| w == *value).unwrap();
            let expected = JsonError { at: start + at, what: JsonErrorKind::InvalidUtf8 };
            assert_eq!(check(&json), Err(expected), "{}", json.escape_ascii());
        }
    }
}

#[test]
fn what_is_no_whole_object_is_refused() {
    use Expected::*;
    use JsonErrorKind::*;
    let documents: &[(&[u8], usize, JsonErrorKind)] = &[
        (b"", 0, Empty),
        (b" \t\r\n", 4, Empty),
        (b"[1]", 0, NotAnObject),
        (b" null", 1, NotAnObject),
        (b"\"{}\"", 0, NotAnObject),
        (b"\0", 0, NotAnObject),
        (b"\xef\xbb\xbf{}", 0, NotAnObject),
        (b"{", 1, Broken(Name)),
        (b"{\"", 2, Broken(ClosingQuote)),
        (b"{\"a\"", 4, Broken(Colon)),
        (b"{\"a\":", 5, Broken(Value)),
        (b"{\"a\":1", 6, Broken(CommaOrBrace)),
        (b"{\"a\":1,", 7, Broken(Name)),
        (b"{\"a\":\"\\", 7, Broken(Escape)),
        (b"{\"a\":[", 6, Broken(Value)),
        (b"{\"a\":[{}", 8, Broken(CommaOrBracket)),
        (b"{}}", 2, TrailingBytes),
        (b"{} {}", 3, TrailingBytes),
        (b"{}\0", 2, TrailingBytes),
        (b"{\"a\":1}\n,", 8, TrailingBytes),
    ];
    for (json, at, what) in documents {
        let expected = JsonError { at: *at, what: *what };
        assert_eq!(check(json), Err(expected), "{}", json.escape_ascii());
    }
    for json in [&b"{}"[..], b" {} ", b"\n{\t}\r\n"] {
        assert_eq!(check(json), Ok(()));
    }
}

#[test]
fn depth_is_bounded_whichever_way_down() {
    let nested = |open: &str, close: &str, levels: usize| {
        format!("{{\"a\":{}1{}}}", open.repeat(levels - 1), close.repeat(levels - 1))
    };
    let deep_path = format!("$.a{}", "[0]".repeat(31));
    let deep_fields = format!("$.a{}", ".x".repeat(31));
    for paths in [&["$.b"][..], &["$.a"], &[&deep_path], &[&deep_fields], &["$"], &[]] {
        let selection = selection(paths);
        for (open, close) in [("[", "]"), ("{\"x\":", "}"), ("[{\"x\":", "}]")] {
            let step = open.matches(['[', '{']).count();
            let levels = 1 + (DEPTH_MAX - 1) / step;
            assert!(scan(&selection, nested(open, close, levels).as_bytes()).is_ok());
            let error = scan(&selection, nested(open, close, levels + 1).as_bytes()).unwrap_err();
            assert_eq!(error.what, JsonErrorKind::TooDeep);
        }
    }
    // Far too deep, and never closed: no stack overflow, no long way.
    let bomb = format!("{{\"a\":{}", "[".repeat(10_000_000));
    assert_eq!(check(bomb.as_bytes()).unwrap_err().at, 5 + DEPTH_MAX - 1);
}

#[test]
fn selected_fields_are_found() {
    let json = r#" {"x":{"a":0},"a":"v","b":{"c":[10, {"d":null} ,30],"a":1},"":{}} "#;
    let paths = [
        "$.a",
        "$.b.c[1].d",
        "$.b.c[1]",
        "$.b.c[0]",
        "$.b",
        "$",
        "$['']",
        "$.a",
        "$.b.c[3]",
        "$.a.b",
        "$.b[0]",
        "$.c",
    ];
    let expected = [
        Some("\"v\""),
        Some("null"),
        Some("{\"d\":null}"),
        Some("10"),
        Some("{\"c\":[10, {\"d\":null} ,30],\"a\":1}"),
        Some(json.trim()),
        Some("{}"),
        Some("\"v\""),
        None,
        None,
        None,
        None,
    ];
    assert_eq!(selected(&paths, json).unwrap(), expected);
    assert_eq!(selected(&[], json).unwrap(), []);
}

#[test]
fn names_match_by_what_they_stand_for() {
    let long = "n".repeat(200);
    for (path, name) in [
        ("$.event_uuid", r"event_uuid"),
        ("$.event_uuid", r"event\u005fuuid"),
        ("$.event_uuid", r"\u0065vent_uuid"),
        ("$['a\"b']", r#"a\"b"#),
        (r"$['a\\b']", r"a\\b"),
        ("$['a/b']", r"a\/b"),
        ("$['😀']", r"\ud83d\ude00"),
        ("$['😀']", "😀"),
        ("$['\n']", r"\n"),
        (&format!("$.{long}"), &long),
        (&format!("$.{long}"), &long.replacen('n', r"\u006E", 1)),
    ] {
        let json = format!(r#"{{"{name}":"yes","event_uuie":0,"{long}n":0}}"#);
        assert_eq!(selected(&[path], &json).unwrap(), [Some("\"yes\"")], "{json}");
    }
    // Alike at both ends, but of other lengths.
    let paths = ["$.abcdefgh", "$.abcdefghabcdefgh", "$.abcdefghXabcdefgh", "$['a\0']", "$.bb"];
    let json = r#"{"abcdefghabcdefgh":16,"aa":2}"#;
    assert_eq!(selected(&paths, json).unwrap(), [None, Some("16"), None, None, None]);
    assert_eq!(selected(&["$.abcdefgh", "$.0123456789abcdef"], json).unwrap(), [None, None]);
    assert_eq!(selected(&["$['a\0']", "$.b"], r#"{"a":1}"#).unwrap(), [None, None]);
    // Half a surrogate pair matches nothing, and is no error.
    assert_eq!(selected(&["$.a"], r#"{"\ud800":1,"\u0061":2}"#).unwrap(), [Some("2")]);
}

#[test]
fn a_selected_field_that_stands_twice_is_refused() {
    let paths = ["$.k", "$.a.b", "$.l[1].x"];
    for (json, at, path) in [
        (r#"{"k":1,"k":1}"#, 7, 0),
        (r#"{"k":1,"\u006b":2}"#, 7, 0),
        (r#"{"a":{"b":1,"b":2}}"#, 12, 1),
        (r#"{"a":{"b":1},"a":{"c":2}}"#, 13, 1),
        (r#"{"a":1,"a":{"b":2}}"#, 7, 1),
        (r#"{"l":[0,{"x":1,"x":2}]}"#, 15, 2),
    ] {
        let expected = JsonError { at, what: JsonErrorKind::AmbiguousField(path) };
        assert_eq!(selected(&paths, json), Err(expected), "{json}");
    }
    for json in [
        r#"{"z":1,"z":1,"k":1}"#,
        r#"{"k":{"k":1},"a":{"z":1,"z":2,"b":1}}"#,
        r#"{"l":[{"x":1},{"x":2},{"x":3,"x":4}]}"#,
    ] {
        assert!(selected(&paths, json).is_ok(), "{json}");
    }
}

#[test]
fn one_found_serves_many_payloads_and_selections() {
    let (one, two) = (selection(&["$.a"]), selection(&["$.x.y", "$.a", "$.b"]));
    let mut found = Found::default();
    assert_eq!(found.span(0), None);
    one.scan(b"{\"a\":1}", &mut found).unwrap();
    assert_eq!(found.span(0), Some(5..6));
    one.scan(b"{\"b\":1}", &mut found).unwrap();
    assert_eq!(found.span(0), None);
    two.scan(b"{\"b\":1}", &mut found).unwrap();
    assert_eq!([found.span(0), found.span(1), found.span(2)], [None, None, Some(5..6)]);
    one.scan(b"{\"a\":12}", &mut found).unwrap();
    assert_eq!([found.span(0), found.span(1)], [Some(5..7), None]);
    assert_eq!(found.get(b"", 0), None);
}

#[test]
fn errors_have_stable_names_and_say_where() {
    for (json, name, message) in [
        (&b""[..], "empty", "the payload is empty at byte 0"),
        (b"[]", "json_not_an_object", "the payload isn't a JSON object at byte 0"),
        (b"{1}", "json_broken", "the JSON is broken: expected a name in quotes at byte 1"),
        (b"{\"\xff\":1}", "invalid_utf8", "the payload isn't UTF-8 at byte 2"),
        (
            b"{\"\n\":1}",
            "json_control_character",
            "a string holds a control character that should be escaped at byte 2",
        ),
        (
            b"{\"a\":1,\"a\":1}",
            "json_ambiguous_field",
            "a selected field stands twice in its object at byte 7",
        ),
        (b"{}x", "json_trailing_bytes", "something follows the JSON object at byte 2"),
    ] {
        let error = check(json).unwrap_err();
        assert_eq!((error.name(), error.to_string().as_str()), (name, message));
    }
    assert_eq!(JsonErrorKind::TooDeep.name(), "json_too_deep");
}
