//! Routing: which sinks an event goes to, by their `match` patterns.

use super::filter::Pattern;

/// Sinks that can be told apart in a set of routes.
pub const SINKS_MAX: usize = 64;

/// Which sinks of a pipe take an event. Cheap to use from several threads at once.
///
/// - A sink without a pattern takes every event; the default sink (if it has no pattern of its
///   own) takes only what no pattern took.
/// - `all`: every sink that takes the event gets it. `first`: only the first one in order.
/// - The default sink: in `all` mode it gets what no pattern took, whatever the sinks without a
///   pattern get beside it; in `first` mode, where an event goes to one sink at most, what no other
///   sink took.
#[derive(Debug, Clone)]
pub struct Router {
    /// Number of the sink and its pattern, in order; the default sink only if it has a pattern.
    rules: Vec<(u32, Option<Pattern>)>,
    first: bool,
    default: u64,
    /// The answer where no pattern is asked.
    fixed: Option<u64>,
}

impl Router {
    /// The sinks in the order of the config, at most [`SINKS_MAX`] (those beyond it get nothing),
    /// each with its pattern; whether only the first that takes an event gets it; and the number of
    /// the sink of events that no pattern takes.
    #[must_use]
    pub fn new(sinks: Vec<Option<Pattern>>, first: bool, default: Option<usize>) -> Router {
        let rules: Vec<(u32, Option<Pattern>)> = (0..)
            .zip(sinks)
            .take(SINKS_MAX)
            .filter(|(sink, pattern)| {
                pattern.is_some()
                    || default.and_then(|sink| u32::try_from(sink).ok()) != Some(*sink)
            })
            .collect();
        let default = default.filter(|sink| *sink < SINKS_MAX).map_or(0, |sink| 1_u64 << sink);
        let mut router = Router { rules, first, default, fixed: None };
        if router.rules.iter().all(|(_, pattern)| pattern.is_none()) {
            router.fixed = Some(router.route(b"{}"));
        }
        router
    }

    /// The answer for every event, where the config has no pattern that could make a difference:
    /// then `route` needn't be called.
    #[must_use]
    pub fn fixed(&self) -> Option<u64> {
        self.fixed
    }

    /// The sinks that an event goes to: bit n is sink n. 0: no route takes it. `json` is a payload
    /// that the scanner has accepted, as it goes to the sinks.
    #[must_use]
    pub fn route(&self, json: &[u8]) -> u64 {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let (mut routes, mut by_pattern) = (0, false);
        for (sink, pattern) in &self.rules {
            if pattern.as_ref().is_some_and(|pattern| !pattern.matches(json)) {
                continue;
            }
            by_pattern |= pattern.is_some();
            routes |= 1_u64 << sink;
            if self.first {
                return routes;
            }
        }
        if by_pattern { routes } else { routes | self.default }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(kind: &str) -> Option<Pattern> {
        Some(Pattern::compile(&json!({ "kind": [{ "prefix": kind }] })).unwrap())
    }

    /// What events of kind `ab`, `a` and `z` get.
    fn routes(sinks: Vec<Option<Pattern>>, first: bool, default: Option<usize>) -> [u64; 3] {
        let router = Router::new(sinks, first, default);
        [br#"{"kind":"ab"}"#.as_slice(), br#"{"kind":"a"}"#, br#"{"kind":"z"}"#]
            .map(|event| router.route(event))
    }

    #[test]
    fn all_of_them_take_what_they_match() {
        assert_eq!(routes(vec![of("a"), of("ab"), of("x")], false, None), [0b11, 0b01, 0]);
        assert_eq!(routes(vec![of("a"), None, of("ab")], false, None), [0b111, 0b011, 0b010]);
    }

    #[test]
    fn only_the_first_takes_it() {
        assert_eq!(routes(vec![of("ab"), of("a"), of("z")], true, None), [0b1, 0b10, 0b100]);
        assert_eq!(routes(vec![of("a"), of("ab")], true, None), [0b01, 0b01, 0]);
        assert_eq!(routes(vec![of("ab"), None, of("z")], true, None), [0b01, 0b10, 0b10]);
    }

    #[test]
    fn the_default_gets_what_no_pattern_took() {
        // A sink without a pattern, which takes everything, doesn't count.
        assert_eq!(routes(vec![of("a"), None, None], false, Some(2)), [0b011, 0b011, 0b110]);
        assert_eq!(routes(vec![None, of("a")], false, Some(0)), [0b10, 0b10, 0b01]);
        // In `first` mode an event never goes to two.
        assert_eq!(routes(vec![of("a"), None], true, Some(1)), [0b01, 0b01, 0b10]);
        assert_eq!(routes(vec![None, of("a")], true, Some(0)), [0b10, 0b10, 0b01]);
        assert_eq!(routes(vec![of("a"), None, None], true, Some(2)), [0b001, 0b001, 0b010]);
    }

    #[test]
    fn a_default_with_a_pattern_gets_what_it_matches_too() {
        assert_eq!(routes(vec![of("a"), of("ab")], false, Some(1)), [0b11, 0b01, 0b10]);
        assert_eq!(routes(vec![of("ab"), of("a")], true, Some(0)), [0b01, 0b10, 0b01]);
    }

    #[test]
    fn without_patterns_the_answer_is_known_beforehand() {
        assert_eq!(Router::new(vec![None, None], false, None).fixed(), Some(0b11));
        assert_eq!(Router::new(vec![None, None], true, None).fixed(), Some(0b01));
        assert_eq!(Router::new(vec![None, None], false, Some(1)).fixed(), Some(0b11));
        assert_eq!(Router::new(vec![], false, None).fixed(), Some(0));
        assert_eq!(Router::new(vec![None, of("a")], false, None).fixed(), None);
        let many = Router::new(vec![None; 70], false, None);
        assert_eq!(many.route(b"{}"), u64::MAX);
        assert_eq!(Router::new(vec![of("a")], false, Some(64)).route(b"{}"), 0);
    }
}
