//! Whatever rows hold, all of it is in the table, once: random rows against what they were.

use journal::SimDisk;
use lake::CompactOptions;
use proptest::prelude::*;

use crate::fake_ledger::{FakeLedger, TestEvent};
use crate::json::J;
use crate::table::{assert_same, compact, event, options, rows, stage};

fn number() -> impl Strategy<Value = J> {
    let text = prop_oneof![
        4 => (-5_i64..100).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        2 => (-50_i64..50).prop_map(|n| format!("{:?}", n as f64 / 4.0)),
        1 => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:?}")),
        1 => prop::sample::select(vec![
            "-0", "-0.0", "0e0", "1e400", "-1E+999", "9223372036854775807", "9223372036854775808",
            "-9223372036854775808", "9007199254740993", "123456789012345678901234567890", "1.0", "5e-324",
        ])
        .prop_map(str::to_owned),
    ];
    text.prop_map(J::Num)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "A", "at", "specifics", "lang"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "", "x.y", "größe", "日本", "_rescued", "_onceflow_key", "year", "day", "a_field", "it's", "q\"q",
            "\\", "[0]", "#2", " ", "\u{0}", "a\nb", "lang_partition", "element", "list",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,6}",
    ]
}

fn value() -> impl Strategy<Value = J> {
    let leaf = prop_oneof![
        1 => Just(J::Null),
        1 => any::<bool>().prop_map(J::Bool),
        4 => number(),
        2 => "[a-z]{0,3}".prop_map(J::Str),
        1 => ".{0,8}".prop_map(J::Str),
    ];
    leaf.prop_recursive(4, 24, 4, |inside| {
        prop_oneof![
            prop::collection::vec(inside.clone(), 0..4).prop_map(J::Arr),
            prop::collection::vec((name(), inside), 0..4).prop_map(J::Obj),
        ]
    })
}

fn object() -> impl Strategy<Value = J> {
    prop::collection::vec((name(), value()), 0..6).prop_map(J::Obj)
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

fn to_events(rows: &[J], first: u64) -> Vec<TestEvent> {
    (first..).zip(rows).map(|(id, row)| event(id, row.write())).collect()
}

proptest! {
    #![proptest_config(cases(60))]

    /// Two compactions of random rows; the second one finds a schema that it can only add to.
    #[test]
    fn p1_every_value_of_random_rows_is_in_the_table(
        first in prop::collection::vec(object(), 1..12),
        second in prop::collection::vec(object(), 0..12),
        threads in 1_usize..3,
    ) {
        let disk = SimDisk::new(1);
        let mut ledger = FakeLedger::new();
        let (first, second) = (to_events(&first, 1), to_events(&second, 100));
        let options = CompactOptions { threads, ..options() };
        stage(&disk, &mut ledger, std::slice::from_ref(&first));
        let done = compact(&disk, &options).unwrap();
        prop_assert_eq!(done.rows, first.len() as u64);
        assert_same(&disk, &first);
        stage(&disk, &mut ledger, std::slice::from_ref(&second));
        compact(&disk, &options).unwrap();
        assert_same(&disk, &[first, second].concat());
    }
}

#[test]
fn limits_of_columns_depth_and_names_send_values_to_rescued() {
    let deep = format!("{}1{}", r#"{"d":"#.repeat(40), "}".repeat(40));
    let long = format!(r#"{{"{}":1}}"#, "n".repeat(256));
    let wide: String = (0..1100).map(|i| format!(r#""c{i}":{i},"#)).collect();
    let wide = format!("{{{}\"z\":1}}", wide);
    let all: Vec<TestEvent> = [deep, long, wide, r#"{"c5":5}"#.into()]
        .into_iter()
        .zip(1..)
        .map(|(p, id)| event(id, p))
        .collect();
    let disk = SimDisk::new(1);
    stage(&disk, &mut FakeLedger::new(), std::slice::from_ref(&all));
    let done = compact(&disk, &options()).unwrap();
    assert_same(&disk, &all);
    assert_eq!(done.rows_rescued, 3);
    assert!(done.columns_added.len() == 1000, "{}", done.columns_added.len());
    let rescued = rows(&disk).into_iter().filter_map(|row| row.rescued).collect::<Vec<_>>();
    assert!(rescued.iter().any(|row| row.contains("$.c1050") && !row.contains("$.c5\"")));
}
