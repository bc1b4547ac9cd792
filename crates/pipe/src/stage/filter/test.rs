//! One alternative of a field: a question to one value.

use event::json::{Kind, Raw};

use crate::stage::decimal::{Decimal, Scaled};

/// The steps of `numeric`: six decimals.
pub(super) const NUMERIC_UNITS: i64 = 1_000_000;
/// The bound of `numeric` either way, in those steps: 5e9.
pub(super) const NUMERIC_MAX: i64 = 5_000_000_000 * NUMERIC_UNITS;

/// A question to one value: a text, a number, `true`, `false` or `null`.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// This text.
    Text(Box<str>),
    /// This number, by value.
    Number(Decimal),
    /// `true`, `false` or `null`.
    Literal(&'static str),
    /// A text that begins with this.
    Prefix(Box<str>),
    /// Any value.
    Exists,
    /// A number within ±5e9 between the two bounds.
    Numeric { low: Option<Bound>, high: Option<Bound> },
    /// Any value but these texts.
    ButTexts(Box<[Box<str>]>),
    /// Any value but these numbers.
    ButNumbers(Box<[Decimal]>),
    /// Any value but texts that begin with one of these.
    ButPrefixes(Box<[Box<str>]>),
}

/// A bound of `numeric`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    /// In steps of a millionth.
    pub(super) at: i64,
    /// The bound itself belongs to the range.
    pub(super) inclusive: bool,
}

impl Test {
    /// Asks a value that is neither object nor array.
    #[inline]
    pub(super) fn holds(&self, value: Raw<'_>) -> bool {
        match self {
            Test::Text(text) => value.is_str(text),
            Test::Number(number) => is_number(value, number),
            Test::Literal(literal) => value.bytes() == literal.as_bytes(),
            Test::Prefix(prefix) => begins_with(value, prefix),
            Test::Exists => true,
            Test::Numeric { low, high } => scaled(value).is_some_and(|number| {
                low.is_none_or(|low| {
                    let order = number.compare(low.at);
                    order.is_gt() || (low.inclusive && order.is_eq())
                }) && high.is_none_or(|high| {
                    let order = number.compare(high.at);
                    order.is_lt() || (high.inclusive && order.is_eq())
                })
            }),
            Test::ButTexts(texts) => !texts.iter().any(|text| value.is_str(text)),
            Test::ButNumbers(numbers) => !numbers.iter().any(|number| is_number(value, number)),
            Test::ButPrefixes(prefixes) => {
                !prefixes.iter().any(|prefix| begins_with(value, prefix))
            }
        }
    }
}

fn is_number(value: Raw<'_>, number: &Decimal) -> bool {
    value.kind() == Kind::Number
        && Decimal::read(value.bytes()).is_some_and(|own| own.same_value(number))
}

/// A number as `numeric` sees it; `None` beyond ±5e9.
fn scaled(value: Raw<'_>) -> Option<Scaled> {
    if value.kind() != Kind::Number {
        return None;
    }
    let number = Decimal::read(value.bytes())?.scaled(NUMERIC_UNITS)?;
    let within = number.compare(-NUMERIC_MAX).is_ge() && number.compare(NUMERIC_MAX).is_le();
    within.then_some(number)
}

fn begins_with(value: Raw<'_>, prefix: &str) -> bool {
    let Some(inner) = value.bytes().strip_prefix(b"\"") else { return false };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    // Text without escapes stands there as it is. A prefix that holds a backslash or a quote never
    // does: those are always escaped.
    match inner.get(..prefix.len()) {
        Some(start) if start == prefix.as_bytes() && !start.contains(&b'\\') => true,
        _ if memchr::memchr(b'\\', inner).is_none() => false,
        _ => value.as_str().is_some_and(|text| text.starts_with(prefix)),
    }
}
