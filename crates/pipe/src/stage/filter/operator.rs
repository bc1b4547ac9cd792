//! The alternatives of a field: values and operators.

use serde_json::{Map, Value};

use super::PatternError;
use super::compile::Compiler;
use super::test::{Bound, NUMERIC_MAX, NUMERIC_UNITS, Test};
use crate::stage::decimal::Decimal;

const BUILT: &str = "built are exact values, prefix, exists, anything-but, numeric and $or";
const NOT_BUILT: [&str; 4] = ["suffix", "equals-ignore-case", "wildcard", "cidr"];

impl Compiler {
    /// One alternative of a field; `None` stands for `exists: false`.
    pub(super) fn alternative(
        &mut self,
        alternative: &Value,
    ) -> Result<Option<Test>, PatternError> {
        Ok(Some(match alternative {
            Value::Null => Test::Literal("null"),
            Value::Bool(true) => Test::Literal("true"),
            Value::Bool(false) => Test::Literal("false"),
            Value::String(text) => Test::Text(text.as_str().into()),
            Value::Number(number) => Test::Number(self.number(number)?),
            Value::Array(_) => {
                return Err(self.pointer.error(
                    "an alternative is a value or an operator, not an array",
                    "write the values one beside the other: [\"a\", \"b\"]",
                ));
            }
            Value::Object(operator) => return self.operator(operator),
        }))
    }

    fn operator(&mut self, operator: &Map<String, Value>) -> Result<Option<Test>, PatternError> {
        let (Some((name, value)), 1) = (operator.iter().next(), operator.len()) else {
            return Err(self.pointer.error(
                format!("an operator is an object with one name, not {}", operator.len()),
                "write several operators as alternatives: [{ … }, { … }]",
            ));
        };
        self.within(name, |compiler| {
            Ok(Some(match name.as_str() {
                "exactly" => Test::Text(compiler.text(value)?.into()),
                "prefix" if value.is_object() => {
                    return Err(compiler.not_built("prefix with equals-ignore-case"));
                }
                "prefix" => Test::Prefix(compiler.text(value)?.into()),
                "exists" => match value {
                    Value::Bool(true) => Test::Exists,
                    Value::Bool(false) => return Ok(None),
                    _ => {
                        return Err(compiler
                            .pointer
                            .error("`exists` takes true or false", "write { \"exists\": true }"));
                    }
                },
                "anything-but" => compiler.anything_but(value)?,
                "numeric" => compiler.numeric(value)?,
                name if NOT_BUILT.contains(&name) => return Err(compiler.not_built(name)),
                name => {
                    let close = ["prefix", "exists", "anything-but", "numeric"]
                        .into_iter()
                        .find(|known| is_close(name, known));
                    let help = match close {
                        Some(known) => format!("did you mean `{known}`?"),
                        None => BUILT.to_owned(),
                    };
                    return Err(compiler.pointer.error(format!("unknown operator `{name}`"), help));
                }
            }))
        })
    }

    fn not_built(&self, name: &str) -> PatternError {
        self.pointer.error(format!("`{name}` is known but not built yet"), BUILT)
    }

    fn text<'v>(&self, value: &'v Value) -> Result<&'v str, PatternError> {
        value.as_str().ok_or_else(|| {
            self.pointer.error(format!("this takes a text, not {value}"), "put it in quotes")
        })
    }

    fn number(&self, number: &serde_json::Number) -> Result<Decimal, PatternError> {
        Decimal::read(number.to_string().as_bytes()).ok_or_else(|| {
            self.pointer.error(format!("{number} isn't a number of JSON"), "write it in digits")
        })
    }

    fn anything_but(&mut self, value: &Value) -> Result<Test, PatternError> {
        let values = match value {
            Value::Object(operator) => return self.anything_but_prefix(operator),
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if !values.is_empty() && values.iter().all(Value::is_string) {
            let texts = values.iter().filter_map(Value::as_str).map(Into::into);
            return Ok(Test::ButTexts(texts.collect()));
        }
        let numbers = values.iter().map(|value| match value {
            Value::Number(number) => {
                self.in_range(number)?;
                self.number(number)
            }
            _ => Err(self.pointer.error(
                "`anything-but` takes texts or numbers, not both and nothing else",
                r#"write { "anything-but": ["a", "b"] } or { "anything-but": [1, 2] }"#,
            )),
        });
        let numbers = numbers.collect::<Result<Box<[_]>, _>>()?;
        if numbers.is_empty() {
            return Err(self.pointer.error(
                "`anything-but` of nothing",
                r#"name a value, or write { "exists": true } for any"#,
            ));
        }
        Ok(Test::ButNumbers(numbers))
    }

    fn anything_but_prefix(&mut self, operator: &Map<String, Value>) -> Result<Test, PatternError> {
        let help = r#"write { "anything-but": { "prefix": "a" } }"#;
        let (Some((name, value)), 1) = (operator.iter().next(), operator.len()) else {
            return Err(self.pointer.error("`anything-but` takes one operator", help));
        };
        self.within(name, |compiler| {
            if NOT_BUILT.contains(&name.as_str()) {
                return Err(compiler.not_built(&format!("anything-but of {name}")));
            }
            if name != "prefix" {
                return Err(compiler
                    .pointer
                    .error(format!("`anything-but` doesn't take the operator `{name}`"), help));
            }
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let prefixes = values.iter().map(|value| compiler.text(value).map(Box::from));
            let prefixes = prefixes.collect::<Result<Box<[Box<str>]>, _>>()?;
            if prefixes.is_empty() || prefixes.iter().any(|prefix| prefix.is_empty()) {
                return Err(compiler
                    .pointer
                    .error("every text begins with nothing, so nothing would match", help));
            }
            Ok(Test::ButPrefixes(prefixes))
        })
    }

    /// `["=", n]`, or a lower bound, an upper bound, or a lower and then an upper one.
    fn numeric(&mut self, value: &Value) -> Result<Test, PatternError> {
        let help = r#"write { "numeric": [">=", 0, "<", 100] }"#;
        let Value::Array(parts) = value else {
            return Err(self.pointer.error("`numeric` takes an array", help));
        };
        let (mut low, mut high) = (None, None);
        let pairs = parts.chunks(2).collect::<Vec<_>>();
        if pairs.is_empty() || pairs.len() > 2 {
            return Err(self.pointer.error("`numeric` takes one or two comparisons", help));
        }
        for (index, pair) in pairs.iter().enumerate() {
            let (Some(Value::String(comparison)), Some(Value::Number(number))) =
                (pair.first(), pair.get(1))
            else {
                return Err(self
                    .pointer
                    .error("`numeric` takes a comparison and a number by turns", help));
            };
            let at = self.in_range(number)?;
            let bound = |inclusive| Some(Bound { at, inclusive });
            match (comparison.as_str(), index, pairs.len()) {
                ("=", 0, 1) => (low, high) = (bound(true), bound(true)),
                (">", 0, _) => low = bound(false),
                (">=", 0, _) => low = bound(true),
                ("<", 0, 1) | ("<", 1, 2) => high = bound(false),
                ("<=", 0, 1) | ("<=", 1, 2) => high = bound(true),
                ("=" | "<" | "<=" | ">" | ">=", ..) => {
                    return Err(self
                        .pointer
                        .error("two comparisons are a lower bound and then an upper one", help));
                }
                (other, ..) => {
                    return Err(self.pointer.error(
                        format!("unknown comparison `{other}`"),
                        "there are =, <, <=, > and >=",
                    ));
                }
            }
        }
        if let (Some(low), Some(high), 2) = (low, high, pairs.len())
            && low.at >= high.at
        {
            return Err(self
                .pointer
                .error("the lower bound isn't below the upper one, so nothing would match", help));
        }
        Ok(Test::Numeric { low, high })
    }

    /// A number that `numeric` and `anything-but` take, in millionths.
    fn in_range(&self, number: &serde_json::Number) -> Result<i64, PatternError> {
        let scaled = self.number(number)?.scaled(NUMERIC_UNITS);
        let within = scaled.filter(|scaled| {
            scaled.compare(-NUMERIC_MAX).is_ge() && scaled.compare(NUMERIC_MAX).is_le()
        });
        match within {
            None => Err(self.pointer.error(
                format!("{number} is beyond -5e9 to 5e9"),
                "the service compares no larger numbers; exact values may be larger",
            )),
            Some(scaled) if !scaled.exact => Err(self
                .pointer
                .error(format!("{number} has more than six decimals"), "round it to six decimals")),
            Some(scaled) => Ok(scaled.floor),
        }
    }
}

/// Whether two names differ in case, `_` and `-`, or one letter at most.
fn is_close(name: &str, known: &str) -> bool {
    let plain = |text: &str| -> Vec<char> {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (name, known) = (plain(name), plain(known));
    let same_start = name.iter().zip(&known).take_while(|(a, b)| a == b).count();
    let rest_name = name.get(same_start..).unwrap_or_default();
    let rest_known = known.get(same_start..).unwrap_or_default();
    let after = |rest: &[char]| rest.get(1..).map(<[char]>::to_vec);
    rest_name == rest_known
        || after(rest_name).as_deref() == Some(rest_known)
        || after(rest_known).as_deref() == Some(rest_name)
        || (after(rest_name).is_some() && after(rest_name) == after(rest_known))
}
