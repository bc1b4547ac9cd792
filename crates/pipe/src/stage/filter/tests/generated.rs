//! Generated patterns and events, against the reference.

use super::*;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1.0, -1.5, 5e9, -5e9, 5_000_000_001.0])
            .prop_map(Value::from),
        prop::sample::select(vec!["", "x", "xy", "y", "\u{1F600}x", "\\\"x", "1"])
            .prop_map(Value::from),
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

fn alternative() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["", "x", "xy", "y", "\u{1F600}", "\\\""]);
    prop_oneof![
        4 => scalar(),
        1 => text().prop_map(|text| json!({ "prefix": text })),
        2 => any::<bool>().prop_map(|exists| json!({ "exists": exists })),
        1 => prop::collection::vec(text(), 1..3).prop_map(|texts| json!({ "anything-but": texts })),
        1 => (-1_i64..3).prop_map(|number| json!({ "anything-but": number })),
        1 => Just(json!({ "anything-but": { "prefix": "x" } })),
        1 => (prop::sample::select(vec!["=", "<", "<=", ">", ">="]), -2_i64..3)
            .prop_map(|(comparison, number)| json!({ "numeric": [comparison, number] })),
        1 => (prop::sample::select(vec![">", ">="]), prop::sample::select(vec!["<", "<="]))
            .prop_map(|(low, high)| json!({ "numeric": [low, -1, high, 1.5] })),
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
}
