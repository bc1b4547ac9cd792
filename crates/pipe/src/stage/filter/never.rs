//! What in a pattern can never match.
//!
//! Fields with different paths never contradict each other: an event may hold any values at any
//! paths (`{"a": [1, {"b": 2}]}` has one at `a` and one at `a.b`), a field may be an array of
//! several values, and `exists: false` of `a` holds beside a value at `a.b`, as only leaves count.
//! Two conditions on one path are refused when the pattern is compiled. So a pattern matches some
//! event if each condition of some combination holds for some value, and that is what is looked at.

use super::Pattern;

pub(super) fn warnings(pattern: &Pattern) -> Vec<String> {
    let mut lines = Vec::new();
    let mut dead = vec![false; pattern.conditions.len()];
    let places = pattern.places.iter().map(String::as_str).chain(std::iter::repeat(""));
    for ((condition, place), dead) in pattern.conditions.iter().zip(places).zip(&mut dead) {
        let reasons: Vec<&str> = condition.tests.iter().filter_map(|test| test.never()).collect();
        *dead = reasons.len() == condition.tests.len() && !condition.or_absent;
        let what = if *dead { "this field" } else { "one alternative of this field" };
        for reason in reasons {
            lines.push(format!("event pattern at `{place}`: {what} can never match: {reason}"));
        }
    }
    let is_dead = |index: &usize| dead.get(*index).copied().unwrap_or(false);
    if pattern.combinations.iter().all(|combination| combination.iter().any(is_dead)) {
        lines.insert(0, "event pattern: it can never match any event".to_owned());
    }
    lines
}
