//! Generated patterns and events, against the reference.

use super::*;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1.0, -1.5, 5e9, -5e9, 5_000_000_001.0])
            .prop_map(Value::from),
        prop::sample::select(TEXTS.to_vec()).prop_map(Value::from),
        "[xX*yß]{0,5}".prop_map(Value::from),
    ]
}

fn event(names: &'static [&'static str], objects_in_arrays: bool) -> impl Strategy<Value = Value> {
    let object = move |inner: BoxedStrategy<Value>| {
        prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..5).prop_map(
            |members| {
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            },
        )
    };
    let value = scalar().prop_recursive(4, 40, 4, move |inner| {
        let element = if objects_in_arrays { inner.clone() } else { scalar().boxed() };
        prop_oneof![
            3 => object(inner.boxed()),
            2 => prop::collection::vec(element, 0..4).prop_map(Value::Array),
        ]
    });
    object(value.boxed())
}

/// Texts that operators have something to say of: escapes, cases with other lengths, addresses.
const TEXTS: &[&str] = &[
    "",
    "x",
    "xy",
    "y",
    "X",
    "xXy",
    "\u{1F600}x",
    "\\\"x",
    "*x",
    "1",
    "ß",
    "ss",
    "SS",
    "xSS",
    "É",
    "xé",
    "10.0.0.1",
    "10.0.0.200",
    "10.0.0.256",
    "2001:db8::1",
    "::",
];
const WILDCARDS: &[&str] =
    &["*", "x*", "*x", "x*y", "*x*", "*x*y*", "\\*x", "\\\\*", "x", "", "*ß", "*.0.*.1"];
const BLOCKS: &[&str] =
    &["10.0.0.0/24", "10.0.0.0/25", "10.0.0.1/32", "0.0.0.0/0", "2001:db8::/32", "::/0", "::/127"];

fn alternative() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(TEXTS.to_vec());
    let some =
        || prop::collection::vec(text().prop_filter("no characters", |t| !t.is_empty()), 1..3);
    let wildcard = || prop::sample::select(WILDCARDS.to_vec());
    let end = || prop::sample::select(vec!["prefix", "suffix"]);
    prop_oneof![
        4 => scalar(),
        1 => (end(), text()).prop_map(|(end, text)| json!({ end: text })),
        1 => (end(), text()).prop_map(|(end, text)| json!({ end: { "equals-ignore-case": text } })),
        1 => text().prop_map(|text| json!({ "equals-ignore-case": text })),
        1 => wildcard().prop_map(|text| json!({ "wildcard": text })),
        1 => prop::sample::select(BLOCKS.to_vec()).prop_map(|block| json!({ "cidr": block })),
        2 => any::<bool>().prop_map(|exists| json!({ "exists": exists })),
        1 => prop::collection::vec(text(), 1..3).prop_map(|texts| json!({ "anything-but": texts })),
        1 => (-1_i64..3).prop_map(|number| json!({ "anything-but": number })),
        1 => (end(), some()).prop_map(|(end, texts)| json!({ "anything-but": { end: texts } })),
        1 => some().prop_map(|texts| json!({ "anything-but": { "equals-ignore-case": texts } })),
        1 => wildcard().prop_map(|text| json!({ "anything-but": { "wildcard": text } })),
        1 => (prop::sample::select(vec!["=", "<", "<=", ">", ">="]), -2_i64..3)
            .prop_map(|(comparison, number)| json!({ "numeric": [comparison, number] })),
        1 => (prop::sample::select(vec![">", ">="]), prop::sample::select(vec!["<", "<="]))
            .prop_map(|(low, high)| json!({ "numeric": [low, -1, high, 1.5] })),
        1 => prop::sample::select(vec![json!([">", 5e9]), json!(["<", -5e9]), json!([">=", 5e9])])
            .prop_map(|numeric| json!({ "numeric": numeric })),
    ]
}

fn pattern(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let fields = move |inner: BoxedStrategy<Value>, ors: BoxedStrategy<Vec<Value>>| {
        (prop::collection::vec((prop::sample::select(names.to_vec()), inner), 1..3), ors).prop_map(
            |(fields, ors)| {
                let mut object: serde_json::Map<_, _> =
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                if ors.len() > 1 {
                    object.insert("$or".to_owned(), Value::Array(ors));
                }
                Value::Object(object)
            },
        )
    };
    let leaf = || prop::collection::vec(alternative(), 1..3).prop_map(Value::Array).boxed();
    let flat = fields(leaf(), Just(Vec::new()).boxed());
    let nested = flat.prop_recursive(3, 12, 3, move |inner| {
        let value = prop_oneof![2 => leaf(), 1 => inner.clone()].boxed();
        let ors = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(inner, 2..4)];
        fields(value, ors.boxed())
    });
    nested.prop_filter("refused", |pattern| Pattern::compile(pattern).is_ok())
}

const NAMES: &[&str] = &["a", "b", "c"];
const NAMES_WITH_DOTS: &[&str] = &["a", "b", "a.b", "b.a", "a.b.a", "", "."];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_reference_agrees_with_arrays(pattern in pattern(NAMES), event in event(NAMES, true)) {
        matches(&pattern, &event);
    }

    #[test]
    fn the_reference_agrees_with_dots(
        pattern in pattern(NAMES_WITH_DOTS),
        event in event(NAMES_WITH_DOTS, false),
    ) {
        matches(&pattern, &event);
    }

    #[test]
    fn what_is_said_to_match_nothing_matches_nothing(
        pattern in prop_oneof![pattern(NAMES), dead_pattern()],
        event in event(NAMES, true),
    ) {
        let warnings = compiled(&pattern).warnings();
        if warnings.first().is_some_and(|line| line.contains("any event")) {
            prop_assert!(!reference::matches(&pattern, &event), "{pattern} {event}");
        }
    }
}

/// Patterns of which most can't match.
fn dead_pattern() -> impl Strategy<Value = Value> {
    let dead = prop::collection::vec(
        prop::sample::select(vec![
            json!({ "numeric": [">", 5e9] }),
            json!({ "numeric": ["<", -5e9] }),
            json!({ "numeric": ["<", 5e9] }),
            json!({ "exists": false }),
        ]),
        1..3,
    );
    (pattern(NAMES), dead, 0_u8..3)
        .prop_map(|(pattern, dead, how)| match how {
            0 => json!({ "b": dead }),
            1 => json!({ "$or": [{ "a": { "b": dead } }, { "c": dead }] }),
            _ => json!({ "$or": [{ "a": dead }, pattern] }),
        })
        .prop_filter("refused", |pattern| Pattern::compile(pattern).is_ok())
}
