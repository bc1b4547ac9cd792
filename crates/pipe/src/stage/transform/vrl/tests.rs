//! What programs make of events, and what they can't do.

use super::*;

const BYTES_MAX: usize = 10_000;

fn context() -> TransformContext {
    TransformContext {
        pipe: "app".into(),
        source: "file:app.ndjson".into(),
        result_bytes_max: BYTES_MAX,
    }
}

fn run(program: &str, payload: &str) -> Result<String, TransformFault> {
    let program = Program::new(program, &context()).unwrap_or_else(|error| panic!("{error}"));
    let about = About { received_ms: 1_441_932_418_771, bytes_max: BYTES_MAX };
    let mut out = b"before".to_vec();
    program.run_within(100_000, payload.as_bytes(), about, &mut out)?;
    Ok(String::from_utf8(out.split_off(6)).unwrap())
}

fn refused(program: &str) -> String {
    Program::new(program, &context()).unwrap_err()
}

#[test]
fn the_event_is_the_dot() {
    for (program, payload, result) in [
        (".a = 1", r#"{"b":"x"}"#, r#"{"a":1,"b":"x"}"#),
        ("del(.a)", r#"{"a":1}"#, "{}"),
        (". = .a", r#"{"a":[1,null,{"b":"\u0041\n"}]}"#, r#"[1,null,{"b":"A\n"}]"#),
        (".n = to_int!(.s) + 1", r#"{"s":"41"}"#, r#"{"n":42,"s":"41"}"#),
        (
            r#"parts = split!(.event_name, ":")
.kind = parts[0]
if to_int!(.level) > 10 { .high = true } else { .high = false }"#,
            r#"{"event_name":"game:resumed","level":11}"#,
            r#"{"event_name":"game:resumed","high":true,"kind":"game","level":11}"#,
        ),
        (
            r#".t = format_timestamp!(from_unix_timestamp!(.t), "%F %T %Z")"#,
            r#"{"t":1441932418}"#,
            r#"{"t":"2015-09-11 00:46:58 UTC"}"#,
        ),
        (". = null", "{}", "null"),
        ("", r#"{ "b" : 1.50, "a" : 9007199254740993 }"#, r#"{"a":9007199254740993,"b":1.5}"#),
    ] {
        assert_eq!(run(program, payload).as_deref(), Ok(result), "{program}");
    }
}

#[test]
fn the_pipe_stands_behind_the_percent_sign() {
    assert_eq!(
        run(". = {\"p\": %pipe, \"s\": %source, \"t\": %received_at}", "{}").unwrap(),
        r#"{"p":"app","s":"file:app.ndjson","t":"2015-09-11T00:46:58.771Z"}"#
    );
}

#[test]
fn a_program_that_fails_says_where() {
    let fault = run("# first\n.n = to_int!(.s)", r#"{"s":"x"}"#).unwrap_err();
    let TransformFault::VrlError(message) = fault else { panic!("{fault:?}") };
    assert!(
        message.starts_with("function call error for \"to_int\" at line 2, column 6: "),
        "{message}"
    );
    assert!(message.contains("Invalid integer \"x\""), "{message}");
    assert_eq!(
        with_places("ab\ncd", "x at (3:5) y at (z) at (1:2"),
        "x at line 2, column 1 y at (z) at (1:2"
    );
}

#[test]
fn abort_is_told_apart_from_failing() {
    let aborted = run(r#"if .a == 1 { abort "not this one" }"#, r#"{"a":1}"#);
    assert_eq!(aborted, Err(TransformFault::VrlAbort("not this one".into())));
    assert_eq!(run("abort", "{}"), Err(TransformFault::VrlAbort("aborted".into())));
}

#[test]
fn mistakes_are_shown_with_the_lines_of_the_program() {
    let said = refused(".a = 1\n.b = parse_json(.c)\n");
    let mut lines = said.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("line 2, column 6: unhandled fallible assignment: "), "{said}");
    assert!(said.contains("error[E103]: unhandled fallible assignment"), "{said}");
    assert!(said.contains("2 │ .b = parse_json(.c)"), "{said}");
    assert!(said.contains("^^^"), "{said}");
    let said = refused(".a = \n");
    assert!(said.starts_with("line "), "{said}");
    let said = refused("ä = 1");
    assert!(said.starts_with("line 1, column 1: "), "{said}");
}

#[test]
fn programs_see_the_event_and_nothing_else() {
    let names: Vec<&str> = functions().iter().map(|function| function.identifier()).collect();
    for (name, why) in DENIED {
        assert!(!names.contains(&name), "{name}");
        let said = refused(&format!(".a = 1\n.x = {name}!(\"HOME\")"));
        assert!(said.contains(&format!("`{name}` isn't available here: {why}")), "{said}");
    }
    // Whatever a new version brings along has to be looked at: these are known to be harmless.
    let reach =
        ["env", "host", "dns", "http", "file", "read", "sleep", "exec", "proto", "schema", "log"];
    let harmless = [
        "parse_apache_log",
        "parse_aws_alb_log",
        "parse_aws_cloudwatch_log_subscription_message",
        "parse_aws_vpc_flow_log",
        "parse_common_log",
        "parse_glog",
        "parse_klog",
        "parse_nginx_log",
        "parse_syslog",
        "to_syslog_facility",
        "to_syslog_facility_code",
        "to_syslog_level",
        "to_syslog_severity",
    ];
    let harmless = |name: &&str| harmless.contains(name) || name.ends_with("_logfmt");
    let suspicious: Vec<_> = names
        .into_iter()
        .filter(|name| reach.iter().any(|part| name.contains(part)))
        .filter(|name| !harmless(name))
        .collect();
    assert!(suspicious.is_empty(), "{suspicious:?}");
}

#[test]
fn a_program_is_bounded() {
    // Twice as large with every line: stopped long before the memory is full.
    let doubling = ".a = string!(.a) + string!(.a)\n".repeat(40);
    let fault = run(&doubling, r#"{"a":"0123456789"}"#).unwrap_err();
    assert_eq!(fault, TransformFault::TooLarge { bytes_max: BYTES_MAX });
    let array = ".a = append(array!(.a), array!(.a))\n".repeat(40);
    assert_eq!(run(&array, r#"{"a":[1]}"#), Err(TransformFault::TooLarge { bytes_max: BYTES_MAX }));
    // Small pieces that are too large together.
    let pieces = ".a = string!(.s)\n.b = string!(.s)\n.c = string!(.s)";
    let payload = format!(r#"{{"s":"{}"}}"#, "x".repeat(4_000));
    assert_eq!(run(pieces, &payload), Err(TransformFault::TooLarge { bytes_max: BYTES_MAX }));
    assert!(run(".a = string!(.s)", &payload).is_ok());
    // Loops in loops.
    let nested = "n = 0
for_each(range!(0, 1000)) -> |_i, _x| { for_each(range!(0, 1000)) -> |_j, _y| { n = n + 1 } }
.n = n";
    let TransformFault::VrlError(message) = run(nested, "{}").unwrap_err() else { panic!() };
    assert!(message.contains("stopped after 100000 expressions"), "{message}");
}

#[test]
fn what_can_not_be_read_is_a_fault() {
    assert_eq!(run("", r#"{"a":1,"a":2}"#), Err(TransformFault::Ambiguous));
    assert_eq!(run("", r#"{"a":{"b":1,"\u0062":2}}"#), Err(TransformFault::Ambiguous));
    assert_eq!(
        run("", r#"{"a":":\":","b":[{"c":"\\"}]}"#).unwrap(),
        r#"{"a":":\":","b":[{"c":"\\"}]}"#
    );
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    assert!(matches!(run("", &deep), Err(TransformFault::VrlError(_))));
}
