//! What a test expects against what came.

use event::Outcome;
use serde_json::Value;

use super::Trial;
use crate::config::PipeTest;

/// Lists that are longer, multiplied, are compared place by place.
const CELLS_MAX: usize = 4_000_000;

/// Something that isn't as the test has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Other events were delivered: the way from the expected list to the one that came.
    Delivered(Vec<Step>),
    /// Another number of events ended so.
    Outcome {
        /// How.
        outcome: Outcome,
        /// As the test has it.
        expected: u64,
        /// As it was.
        got: u64,
    },
}

/// One step of the way from what was expected to what came.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// As expected.
    Same(Value),
    /// Expected, and didn't come.
    Missing(Value),
    /// Came, and wasn't expected.
    Extra(Value),
    /// Came in place of the first.
    Changed(Value, Value),
}

/// What differs.
pub(super) fn compare(test: &PipeTest, trial: &Trial) -> Vec<Difference> {
    let mut differences = Vec::new();
    if let Some(expected) = &test.expect {
        let came: Vec<Value> = trial.delivered.iter().map(|payload| value(payload)).collect();
        let steps = steps(expected, &came);
        if steps.iter().any(|step| !matches!(step, Step::Same(_))) {
            differences.push(Difference::Delivered(steps));
        }
    }
    for (outcome, expected) in &test.outcomes {
        let got = trial.count(*outcome);
        if got != *expected {
            differences.push(Difference::Outcome { outcome: *outcome, expected: *expected, got });
        }
    }
    differences
}

/// A payload as JSON; what isn't JSON, as text.
#[must_use]
pub fn value(payload: &[u8]) -> Value {
    serde_json::from_slice(payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(payload).into_owned()))
}

/// Whether two values say the same: numbers by value, fields of objects in any order.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            if let (Some(a), Some(b)) = (whole(a), whole(b)) {
                return a == b;
            }
            a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        // `expect` names a payload that is no object by its text.
        (Value::String(text), other) if !other.is_string() && !other.is_object() => {
            let shown = other.to_string();
            *text == shown
        }
        _ => a == b,
    }
}

fn whole(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The longest list that both have in common, and what is around it.
fn steps(expected: &[Value], came: &[Value]) -> Vec<Step> {
    let (rows, columns) = (expected.len() + 1, came.len() + 1);
    let by_place = rows.saturating_mul(columns) > CELLS_MAX;
    let mut table = vec![0_u32; if by_place { 0 } else { rows * columns }];
    let at = |table: &[u32], i: usize, j: usize| table.get(i * columns + j).copied().unwrap_or(0);
    if !by_place {
        for (i, a) in expected.iter().enumerate().rev() {
            for (j, b) in came.iter().enumerate().rev() {
                let longest = if same(a, b) {
                    at(&table, i + 1, j + 1) + 1
                } else {
                    at(&table, i + 1, j).max(at(&table, i, j + 1))
                };
                if let Some(cell) = table.get_mut(i * columns + j) {
                    *cell = longest;
                }
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let mut steps = Vec::new();
    loop {
        match (expected.get(i), came.get(j)) {
            (Some(a), Some(b)) if same(a, b) => {
                pair(&mut missing, &mut extra, &mut steps);
                steps.push(Step::Same(a.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), Some(b)) if by_place => {
                steps.push(Step::Changed(a.clone(), b.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), Some(_)) if at(&table, i + 1, j) >= at(&table, i, j + 1) => {
                missing.push(a.clone());
                i += 1;
            }
            (Some(a), None) => {
                missing.push(a.clone());
                i += 1;
            }
            (_, Some(b)) => {
                extra.push(b.clone());
                j += 1;
            }
            (None, None) => break,
        }
    }
    pair(&mut missing, &mut extra, &mut steps);
    steps
}

/// What is missing and what is extra at one place belong to each other as far as they go.
fn pair(missing: &mut Vec<Value>, extra: &mut Vec<Value>, steps: &mut Vec<Step>) {
    let mut extra = extra.drain(..);
    for expected in missing.drain(..) {
        steps.push(match extra.next() {
            Some(came) => Step::Changed(expected, came),
            None => Step::Missing(expected),
        });
    }
    steps.extend(extra.map(Step::Extra));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_the_same_by_value_and_fields_in_any_order() {
        for (a, b) in [
            (json!(1), json!(1.0)),
            (json!({"a": 1, "b": [2.50]}), json!({"b": [2.5], "a": 1e0})),
            (json!(u64::MAX), json!(u64::MAX)),
            (json!("17"), json!(17)),
            (json!("[1,2]"), json!([1, 2])),
        ] {
            assert!(same(&a, &b), "{a} {b}");
        }
        for (a, b) in [
            (json!(1), json!(2)),
            (json!(17), json!("17")),
            (json!({"a": 1}), json!({"a": 1, "b": null})),
            (json!(u64::MAX), json!(u64::MAX - 1)),
            (json!([1, 2]), json!([2, 1])),
            (json!("{}"), json!({})),
        ] {
            assert!(!same(&a, &b), "{a} {b}");
        }
    }

    #[test]
    fn one_event_too_few_or_too_many_is_said_where_it_is() {
        let list = |numbers: &[i64]| numbers.iter().map(|n| json!({"n": n})).collect::<Vec<_>>();
        let n = |n: i64| json!({"n": n});
        assert_eq!(
            steps(&list(&[1, 2, 3]), &list(&[1, 3])),
            [Step::Same(n(1)), Step::Missing(n(2)), Step::Same(n(3))]
        );
        assert_eq!(
            steps(&list(&[1, 3]), &list(&[1, 2, 3, 4])),
            [Step::Same(n(1)), Step::Extra(n(2)), Step::Same(n(3)), Step::Extra(n(4))]
        );
        assert_eq!(
            steps(&list(&[1, 2, 3]), &list(&[1, 5, 3])),
            [Step::Same(n(1)), Step::Changed(n(2), n(5)), Step::Same(n(3))]
        );
        assert_eq!(steps(&[], &[]), []);
    }
}
