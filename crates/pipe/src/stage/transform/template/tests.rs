//! What templates make of events, and what is said of those that can't be used.

use serde_json::{Value, json};

use super::*;

fn context() -> TransformContext {
    let (pipe, source) = ("app".to_owned(), "kinesis:app-\"events\"".to_owned());
    TransformContext { pipe, source, result_bytes_max: 1000 }
}

fn render(template: &str, payload: &str) -> Result<String, TransformFault> {
    let template = Template::new(template, &context()).unwrap_or_else(|error| panic!("{error}"));
    let mut out = b"before".to_vec();
    template.render(payload.as_bytes(), 1_441_932_418_771, 1000, &mut out)?;
    let text = String::from_utf8(out.split_off(6)).unwrap();
    // Our own scanner takes what serde_json doesn't: half surrogate pairs, 128 levels.
    let selection = event::json::Selection::new(&[]);
    let wrapped = if text.starts_with('{') { text.clone() } else { format!("{{\"v\":{text}}}") };
    let scanned = selection.scan(wrapped.as_bytes(), &mut event::json::Found::default());
    assert!(scanned.is_ok() || depth(text.as_bytes()) == DEPTH_MAX, "no JSON: {text}");
    assert!(!text.contains('\n'));
    Ok(text)
}

const EVENT: &str = r#"{"id":7,"name":"A \"B\" \u0041\n","none":null,"o":{"k-1":"x","l":[1,{"m":"n"},{"m":[2]}]},"e":[],"t":true,"f":1.50,"a/b":"slash"}"#;

fn check(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(render(template, EVENT).unwrap(), *expected, "{template}");
    }
}

#[test]
fn outside_of_quotes_a_value_is_json() {
    check(&[
        (r#"{"a": <$.id>, "b":<$.name>}"#, r#"{"a": 7, "b":"A \"B\" \u0041\n"}"#),
        (
            r#"[<$.o>,<$.e>,<$.t>,<$.f>]"#,
            r#"[{"k-1":"x","l":[1,{"m":"n"},{"m":[2]}]},[],true,1.50]"#,
        ),
        (r#"{"a":<$.none>,"b":<$.missing>,"c":<$.id.x>}"#, r#"{"a":null,"b":null,"c":null}"#),
        ("{\"a\":\n  <$.o.l[1].m>\n}\n", r#"{"a":   "n" }"#),
        (r#"{"a":<$['a/b']>,"b":<$.a/b>}"#, r#"{"a":"slash","b":"slash"}"#),
        ("<$.o.k-1>", r#""x""#),
        ("  <$>\n", EVENT),
        ("<$.missing>", "null"),
        ("5", "5"),
        ("null", "null"),
        (r#""static""#, r#""static""#),
    ]);
}

#[test]
fn within_quotes_a_value_is_text() {
    check(&[
        (r#"{"a":"<$.id>","b":"[<$.name>]"}"#, r#"{"a":"7","b":"[A \"B\" \u0041\n]"}"#),
        (r#""<$.o.l[2]> and <$.t><$.f>""#, r#""{\"m\":[2]} and true1.50""#),
        (r#"{"a":"<$.missing>","b":"<$.none>"}"#, r#"{"a":"","b":"null"}"#),
        (r#""say \"<$.o.k-1>\"\\""#, r#""say \"x\"\\""#),
    ]);
}

#[test]
fn a_star_stands_for_every_element() {
    check(&[
        ("<$.o.l[*]>", r#"[1,{"m":"n"},{"m":[2]}]"#),
        (r#"{"m":<$.o.l[*].m>}"#, r#"{"m":["n",[2]]}"#),
        ("<$.o.l[*].m[*]>", "[2]"),
        (r#""<$.o.l[*].m>""#, r#""[\"n\",[2]]""#),
        (r#"[<$.e[*]>,<$.id[*]>,<$.missing[*].x>]"#, "[[],null,null]"),
    ]);
}

#[test]
fn what_is_no_json_is_text() {
    check(&[
        ("Hello, <$.name>!", r#""Hello, A \"B\" \u0041\n!""#),
        ("<$.id> is \"<$.t>\" \\d\nend\n", r#""7 is \"true\" \\d\nend""#),
        ("<$.id><$.id>", r#""77""#),
        ("x", r#""x""#),
        ("a \\< b \\> <$.id>", r#""a < b > 7""#),
        ("o: <$.o.l>", r#""o: [1,{\"m\":\"n\"},{\"m\":[2]}]""#),
    ]);
}

#[test]
fn brackets_are_escaped_with_a_backslash() {
    check(&[
        (r#"{"a":"\<$.id\>","b":"\\<$.id>"}"#, r#"{"a":"<$.id>","b":"\\7"}"#),
        (r#"["> <$.id>"]"#, r#"["> 7"]"#),
    ]);
}

#[test]
fn the_pipe_has_variables_of_its_own() {
    check(&[
        (
            r#"{"p":<aws.pipes.pipe-name>,"s":"<aws.pipes.source-arn>","t":<aws.pipes.event.ingestion-time>}"#,
            r#"{"p":"app","s":"kinesis:app-\"events\"","t":"2015-09-11T00:46:58.771Z"}"#,
        ),
        (
            r#""<aws.pipes.pipe-arn> at <aws.pipes.event.ingestion-time>""#,
            r#""arn:onceflow:pipes:us-east-1:000000000000:pipe/app at 2015-09-11T00:46:58.771Z""#,
        ),
    ]);
    assert_eq!(render("<aws.pipes.event>", EVENT).unwrap(), EVENT);
    assert_eq!(
        render(r#"{"e":<aws.pipes.event.json>}"#, EVENT).unwrap(),
        format!("{{\"e\":{EVENT}}}")
    );
    let quoted: Value =
        serde_json::from_str(&render(r#"["<aws.pipes.event>"]"#, EVENT).unwrap()).unwrap();
    assert_eq!(quoted, json!([EVENT]));
}

#[test]
fn an_input_transformer_of_a_rule_is_taken_as_it_stands() {
    check(&[
        (
            r#"{"InputPathsMap": {"instance": "$.o.k-1", "status-2": "$.t"},
                "InputTemplate": "{\"myInstance\": <instance>,\"myStatus\": \"<instance> is in state \\\"<status-2>\\\"\"}"}"#,
            r#"{"myInstance": "x","myStatus": "x is in state \"true\""}"#,
        ),
        (
            r#"{"InputPathsMap":{"i":"$.id"},"InputTemplate":"<i> is in state <i>"}"#,
            r#""7 is in state 7""#,
        ),
        (
            r#"{"InputTemplate":"[<aws.events.rule-name>,<aws.events.event.ingestion-time>]"}"#,
            r#"["app","2015-09-11T00:46:58.771Z"]"#,
        ),
    ]);
    assert_eq!(render(r#"{"InputTemplate":"<aws.events.event.json>"}"#, EVENT).unwrap(), EVENT);
    for (template, message) in [
        (r#"{"InputPathsMap":{"a":"x"},"InputTemplate":"<a>"}"#, "the path `x`"),
        (r#"{"InputPathsMap":{"a b":"$.x"},"InputTemplate":"<a>"}"#, "letters, digits"),
        (r#"{"InputPathsMap":{"a":1},"InputTemplate":"<a>"}"#, "a variable is a path"),
        (r#"{"InputPathsMap":[],"InputTemplate":"<a>"}"#, "an object of at most 100"),
        (r#"{"InputPathsMap":{"a":"$.x"},"InputTemplate":"<b>"}"#, "the map has a"),
        (r#"{"InputTemplate":5}"#, "is a text, in quotes"),
        (r#"{"Other":1,"InputTemplate":"x"}"#, "has no `Other`"),
    ] {
        let error = Template::new(template, &context()).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (template, shown) in [
        (
            "{\n  \"ä\": <aws.pipes.foo>,\n}",
            "line 2, column 8: `<aws.pipes.foo>` is no variable; there are <$.path>, \
             <aws.pipes.pipe-name>, <aws.pipes.pipe-arn>, <aws.pipes.source-arn>, \
             <aws.pipes.event.ingestion-time>, <aws.pipes.event> and <aws.pipes.event.json>; for \
             the character itself write `\\<`\n    \"ä\": <aws.pipes.foo>,\n         ^^^^^^^^^^^^^^^",
        ),
        (
            "{\"a\": <$.x>,}",
            "line 1, column 13: this doesn't give JSON: trailing comma\n  {\"a\": <$.x>,}\n              ^",
        ),
        (
            "{\n\"a\": <$.x>\n \"b\": 1}",
            "line 3, column 2: this doesn't give JSON: expected `,` or `}`\n   \"b\": 1}\n   ^",
        ),
        (
            "a < b",
            "line 1, column 3: this insertion has no `>`; for the character itself write `\\<`\n  a < b\n    ^",
        ),
        ("x\n <$.a[b]>", "line 2, column 7: the path `$.a[b]`: "),
        (
            "{\"<$.a>\" : 1}",
            "line 1, column 3: the name of a field can't have an insertion\n  {\"<$.a>\" : 1}\n    ^^^^^",
        ),
        ("{<$.a>: 1}", "line 1, column 2: this doesn't give JSON: key must be a string"),
        ("\"a\" <$.b>", "line 1, column 5: this doesn't give JSON: trailing characters"),
        ("\"a\nb\"", "line 1, column 3: this doesn't give JSON: control character"),
        ("{\"a\": \"<$.b>}", "line 1, column 13: this doesn't give JSON: EOF"),
        (" \n", "line 1, column 1: the template is empty"),
        ("<aws.pipes.target-arn>", "line 1, column 1: `<aws.pipes.target-arn>` means nothing here"),
        ("{\"a\": <$.b}", "line 1, column 7: this insertion has no `>`"),
        ("<>", "line 1, column 1: `<>` is no variable"),
    ] {
        let error = Template::new(template, &context()).unwrap_err();
        assert!(error.starts_with(shown), "{error}\n---\n{shown}");
    }
    let long = "x".repeat(8192);
    assert!(Template::new(&long, &context()).is_ok());
    let error = Template::new(&(long + "ü"), &context()).unwrap_err();
    assert!(error.contains("8193 characters"), "{error}");
}

#[test]
fn what_an_event_can_not_give_is_a_fault() {
    let twice = r#"{"a":1,"a":2}"#;
    assert_eq!(render("<$.a>", twice), Err(TransformFault::Ambiguous));
    assert_eq!(render("<$>", twice).unwrap(), twice);
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(600));
    assert_eq!(render("<$.a>", &long).unwrap().len(), 602);
    assert_eq!(render("<$.a> <$.a>", &long), Err(TransformFault::TooLarge { bytes_max: 1000 }));
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(127), "]".repeat(127));
    assert!(render("[<$.a>]", &deep).is_ok());
    assert_eq!(render("[[<$.a>]]", &deep), Err(TransformFault::TooDeep));
}

#[test]
fn every_value_gives_json_wherever_a_insertion_may_stand() {
    let values = [
        "\"\\ud800\"",
        "\"\\\\\"",
        "\"\\\"\"",
        "\"<$.b>\"",
        "{\"a\":\"\\\"\"}",
        "[]",
        "-0.1e-7",
        "null",
        "\"\u{7f}\u{2028}\"",
    ];
    for value in values {
        let event = format!("{{\"a\":{value}}}");
        for template in
            ["<$.a>", "\"<$.a>\"", "text <$.a>", "{\"x\":[<$.a>,\"<$.a>\"]}", "<$.a[*]>"]
        {
            render(template, &event).unwrap();
        }
    }
}
