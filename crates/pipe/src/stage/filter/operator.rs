//! The alternatives of a field: values and operators.

use serde_json::{Map, Value};

use super::PatternError;
use super::cidr::Cidr;
use super::compile::Compiler;
use super::test::{Bound, NUMERIC_MAX, NUMERIC_UNITS, Test};
use super::text::{Folded, TextTest, Wildcard, WildcardError};
use crate::config::PatternKind;
use crate::stage::decimal::Decimal;

const OPERATORS: [&str; 8] = [
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "exists",
    "anything-but",
    "numeric",
    "cidr",
];
/// What `anything-but` takes beside values.
const BUT_OPERATORS: [&str; 4] = ["prefix", "suffix", "equals-ignore-case", "wildcard"];

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
            Value::String(text) => Test::Text(TextTest::Exact(text.as_str().into())),
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
                "exactly" => Test::Text(TextTest::Exact(compiler.text(value)?.into())),
                "prefix" | "suffix" => Test::Text(compiler.end(name, value)?),
                "equals-ignore-case" => {
                    Test::Text(TextTest::Fold(Folded::new(compiler.text(value)?)))
                }
                "wildcard" => {
                    compiler.not_for_pipes("`wildcard`")?;
                    Test::Text(compiler.wildcard(value)?)
                }
                "cidr" => Test::Cidr(compiler.cidr(value)?),
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
                name => return Err(compiler.unknown(name)),
            }))
        })
    }

    #[cold]
    fn unknown(&self, name: &str) -> PatternError {
        let help = match OPERATORS.into_iter().find(|known| is_close(name, known)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("there are {}", OPERATORS.join(", ")),
        };
        self.pointer.error(format!("unknown operator `{name}`"), help)
    }

    fn not_for_pipes(&self, what: &str) -> Result<(), PatternError> {
        match self.kind {
            PatternKind::EventBridge => Ok(()),
            PatternKind::Pipes => Err(self.pointer.error(
                format!("EventBridge Pipes has no {what}"),
                "take it out, or take out `filter_kind: pipes` for every operator of EventBridge",
            )),
        }
    }

    /// `prefix` or `suffix`: a text, or `{ "equals-ignore-case": text }`.
    fn end(&mut self, name: &str, value: &Value) -> Result<TextTest, PatternError> {
        let Value::Object(operator) = value else {
            let text = self.text(value)?.into();
            return Ok(if name == "prefix" {
                TextTest::Prefix(text)
            } else {
                TextTest::Suffix(text)
            });
        };
        match (operator.get("equals-ignore-case"), operator.len()) {
            (Some(text), 1) => self.within("equals-ignore-case", |compiler| {
                let folded = Folded::new(compiler.text(text)?);
                Ok(if name == "prefix" {
                    TextTest::PrefixFold(folded)
                } else {
                    TextTest::SuffixFold(folded)
                })
            }),
            _ => Err(self.pointer.error(
                format!("`{name}` takes a text, or `equals-ignore-case` and nothing else"),
                format!(r#"write {{ "{name}": {{ "equals-ignore-case": "a" }} }}"#),
            )),
        }
    }

    fn wildcard(&self, value: &Value) -> Result<TextTest, PatternError> {
        Wildcard::new(self.text(value)?).map(TextTest::Wildcard).map_err(|error| match error {
            WildcardError::Consecutive => self
                .pointer
                .error("two `*` stand in a row", "one stands for any characters, also for none"),
            WildcardError::Escape => self.pointer.error(
                "a backslash stands before something else than `*` or a backslash",
                r#"write \\* for an asterisk and \\\\ for a backslash (in JSON)"#,
            ),
        })
    }

    fn cidr(&self, value: &Value) -> Result<Cidr, PatternError> {
        let text = self.text(value)?;
        Cidr::read(text).map_err(|what| {
            self.pointer.error(
                format!("`{text}` is no block of addresses: {what}"),
                r#"write { "cidr": "10.0.0.0/24" } or { "cidr": "2001:db8::/32" }"#,
            )
        })
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
            Value::Object(operator) => return self.anything_but_operator(operator),
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if !values.is_empty() && values.iter().all(Value::is_string) {
            let texts = values.iter().filter_map(Value::as_str);
            return Ok(Test::ButTexts(texts.map(|text| TextTest::Exact(text.into())).collect()));
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

    /// `anything-but` of an operator with one text or several.
    fn anything_but_operator(
        &mut self,
        operator: &Map<String, Value>,
    ) -> Result<Test, PatternError> {
        let help = r#"write { "anything-but": { "prefix": "a" } }"#;
        let (Some((name, value)), 1) = (operator.iter().next(), operator.len()) else {
            return Err(self.pointer.error("`anything-but` takes one operator", help));
        };
        self.within(name, |compiler| {
            if !BUT_OPERATORS.contains(&name.as_str()) {
                return Err(compiler.pointer.error(
                    format!("`anything-but` doesn't take the operator `{name}`"),
                    format!("it takes values, and of operators {}", BUT_OPERATORS.join(", ")),
                ));
            }
            compiler.not_for_pipes("`anything-but` of an operator")?;
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            if values.is_empty() {
                return Err(compiler.pointer.error("`anything-but` of nothing", help));
            }
            let tests = values.iter().map(|value| compiler.but_one(name, value));
            Ok(Test::ButTexts(tests.collect::<Result<_, _>>()?))
        })
    }

    fn but_one(&self, name: &str, value: &Value) -> Result<TextTest, PatternError> {
        let text = self.text(value)?;
        let ends = |test: fn(Box<str>) -> TextTest, verb: &str| match text {
            "" => Err(self.pointer.error(
                format!("every text {verb} with nothing, so no text would match"),
                "name at least one character",
            )),
            text => Ok(test(text.into())),
        };
        match name {
            "prefix" => ends(TextTest::Prefix, "begins"),
            "suffix" => ends(TextTest::Suffix, "ends"),
            "wildcard" => self.wildcard(value),
            _ => Ok(TextTest::Fold(Folded::new(text))),
        }
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
