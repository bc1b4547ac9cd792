//! Generated documents, against serde_json.

use super::*;

// Against serde_json. Differences: serde_json refuses half a surrogate pair and numbers beyond
// f64, and takes one level less. The generators below make none of these, and mutations that do
// are told by its error.

/// A document with its text: names from a small set, so that paths hit; any spacing.
fn value() -> impl Strategy<Value = String> {
    let string = prop_oneof![
        "[ -~]{0,40}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        prop::collection::vec(any::<char>(), 0..8).prop_map(|chars| {
            let mut units = [0; 2];
            let escaped = chars.iter().flat_map(|c| {
                c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect::<Vec<_>>()
            });
            format!("\"{}\"", escaped.collect::<String>())
        }),
    ];
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (-1000..1000_i32).prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
    ];
    let scalar = prop_oneof![
        3 => string,
        2 => number,
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
    ];
    scalar.prop_recursive(5, 48, 8, |inner| {
        prop_oneof![
            2 => object(inner.clone()),
            1 => (prop::collection::vec(inner, 0..6), space()).prop_map(|(elements, space)| {
                format!("[{space}{}{space}]", elements.join(&format!("{space},")))
            }),
        ]
    })
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\n  ", "\t\r\n"])
}

const NAMES: [&str; 8] =
    ["a", "b", "c", "", "event_uuid", "odd key", "ü\"", "a name of many letters, 33 bytes"];

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop::sample::select(NAMES.to_vec());
    let members = prop::collection::btree_map(name, value, 0..7);
    (members, space(), any::<bool>()).prop_map(|(members, space, escape)| {
        let members = members.iter().map(|(name, value)| {
            let mut name = serde_json::to_string(name).unwrap();
            if escape {
                name = name.replace('e', "\\u0065").replace('a', "\\u0061");
            }
            format!("{space}{name}{space}:{space}{value}{space}")
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

fn document() -> impl Strategy<Value = String> {
    (space(), object(value()), space())
        .prop_map(|(before, json, after)| format!("{before}{json}{after}"))
}

fn paths() -> impl Strategy<Value = Vec<FieldPath>> {
    let step = prop_oneof![
        3 => prop::sample::select(NAMES.to_vec()).prop_map(|name| Step::Field(name.into())),
        1 => (0..3_u32).prop_map(Step::Index),
    ];
    let path =
        prop::collection::vec(step, 0..4).prop_map(|steps| FieldPath::from_steps(steps).unwrap());
    prop::collection::vec(path, 0..6)
}

fn pointer<'a>(value: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.steps().iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.as_object()?.get(&**name),
        Step::Index(index) => value.as_array()?.get(*index as usize),
    })
}

/// Whether serde_json takes it as an object; `None` where it is known to differ.
fn serde_takes(json: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(json) {
        Ok(value) => Some(value.is_object()),
        Err(error) => {
            let message = error.to_string();
            let differs = ["surrogate", "number out of range", "recursion", "end of hex escape"];
            (!differs.iter().any(|known| message.contains(known))).then_some(false)
        }
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    Cut(usize),
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Repeat(usize, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let byte = prop_oneof![
        3 => prop::sample::select(br#"{}[],:"\0123-+.eEtfnu aA/"#.to_vec()),
        1 => any::<u8>(),
    ];
    let at = any::<usize>;
    let mutation = prop_oneof![
        1 => at().prop_map(Mutation::Cut),
        3 => (at(), byte.clone()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        3 => (at(), byte).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        3 => at().prop_map(Mutation::Remove),
        1 => (at(), 1..20_usize).prop_map(|(at, len)| Mutation::Repeat(at, len)),
    ];
    prop::collection::vec(mutation, 1..3)
}

fn mutate(json: &mut Vec<u8>, mutation: &Mutation) {
    let len = json.len();
    match *mutation {
        Mutation::Cut(at) => json.truncate(at % (len + 1)),
        Mutation::Replace(at, byte) if len > 0 => json[at % len] = byte,
        Mutation::Insert(at, byte) => json.insert(at % (len + 1), byte),
        Mutation::Remove(at) if len > 0 => drop(json.remove(at % len)),
        Mutation::Repeat(at, count) if len > 0 => {
            let start = at % len;
            let part = json[start..(start + count).min(len)].to_vec();
            json.splice(start..start, part);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn generated_documents_pass_and_fields_stand_where_serde_json_finds_them(
        json in document(), paths in paths()
    ) {
        let Some(true) = serde_takes(json.as_bytes()) else { return Ok(()) };
        let value: Value = serde_json::from_str(&json).unwrap();
        let found = scan(&Selection::new(&paths), json.as_bytes());
        let found = found.map_err(|error| TestCaseError::fail(format!("{error} {json}")))?;
        for (index, path) in paths.iter().enumerate() {
            let raw = found.get(json.as_bytes(), index);
            let own = raw.map(|raw| serde_json::from_slice::<Value>(raw.bytes()).unwrap());
            prop_assert_eq!(own.as_ref(), pointer(&value, path), "{} {}", path, json);
            prop_assert_eq!(path.get(json.as_bytes()).unwrap(), raw);
            if let Some(raw) = raw {
                same(raw, own.as_ref().unwrap())?;
            }
        }
    }

    #[test]
    fn a_scan_takes_what_serde_json_takes(
        json in document(), mutations in mutations(), cut in any::<prop::sample::Index>()
    ) {
        let mut json = json.into_bytes();
        for mutation in &mutations {
            mutate(&mut json, mutation);
        }
        if let Some(takes) = serde_takes(&json) {
            let own = scan(&selection(&[]), &json);
            prop_assert_eq!(own.is_ok(), takes, "{:?} {}", own.err(), json.escape_ascii());
        }
        let cut = &json[..cut.index(json.len() + 1)];
        if let Some(takes) = serde_takes(cut) {
            prop_assert_eq!(scan(&selection(&[]), cut).is_ok(), takes, "{}", cut.escape_ascii());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        json in prop::collection::vec(any::<u8>(), 0..80), paths in paths(), object in any::<bool>()
    ) {
        let json = if object { [b"{\"a\":", &json[..]].concat() } else { json };
        let _ = scan(&Selection::new(&paths), &json);
        for path in &paths {
            let _ = path.get(&json);
        }
        let raw = Raw::new(&json);
        let _ = (raw.kind(), raw.as_str(), raw.as_f64(), raw.as_i64(), raw.as_bool());
        let _ = (raw.members().count(), raw.elements().count());
        let _ = raw.canonical_number(&mut Vec::new());
    }
}

/// What a raw value says of itself is what serde_json says, all the way down.
fn same(raw: Raw<'_>, value: &Value) -> Result<(), TestCaseError> {
    match (raw.kind(), value) {
        (Kind::Null, Value::Null) => {}
        (Kind::Bool, Value::Bool(value)) => prop_assert_eq!(raw.as_bool(), Some(*value)),
        (Kind::String, Value::String(value)) => {
            prop_assert_eq!(raw.as_str(), Some(value.into()));
            prop_assert!(raw.is_str(value));
        }
        (Kind::Number, Value::Number(number)) => {
            // serde_json rounds in two steps without its feature `float_roundtrip`.
            let (own, other) = (raw.as_f64().unwrap(), number.as_f64().unwrap());
            prop_assert!((own - other).abs() <= own.abs() * 1e-15, "{} {}", own, other);
            let exact = std::str::from_utf8(raw.bytes()).unwrap().parse::<i64>().ok();
            prop_assert_eq!(raw.as_i64(), exact);
        }
        (Kind::Array, Value::Array(elements)) => {
            prop_assert_eq!(raw.elements().count(), elements.len());
            for (raw, value) in raw.elements().zip(elements) {
                same(raw, value)?;
            }
        }
        (Kind::Object, Value::Object(members)) => {
            prop_assert_eq!(raw.members().count(), members.len());
            for ((own, raw), (name, value)) in raw.members().zip(members) {
                prop_assert_eq!(own.as_str(), Some(name.into()));
                same(raw, value)?;
            }
        }
        (kind, value) => prop_assert!(false, "{:?} {}", kind, value),
    }
    Ok(())
}
