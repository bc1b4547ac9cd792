//! One alternative of a field: a question to one value.

use event::json::{Kind, Raw};

use super::cidr::Cidr;
use super::text::TextTest;
use crate::stage::decimal::{Decimal, Scaled};

/// The steps of `numeric`: six decimals.
pub(super) const NUMERIC_UNITS: i64 = 1_000_000;
/// The bound of `numeric` either way, in those steps: 5e9.
pub(super) const NUMERIC_MAX: i64 = 5_000_000_000 * NUMERIC_UNITS;

/// A question to one value: a text, a number, `true`, `false` or `null`.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// A text of which this holds.
    Text(TextTest),
    /// This number, by value.
    Number(Decimal),
    /// `true`, `false` or `null`.
    Literal(&'static str),
    /// Any value.
    Exists,
    /// A number within ±5e9 between the two bounds.
    Numeric { low: Option<Bound>, high: Option<Bound> },
    /// A text that is an address within this block.
    Cidr(Cidr),
    /// Any value but texts of which one of these holds.
    ButTexts(Box<[TextTest]>),
    /// Any value but these numbers.
    ButNumbers(Box<[Decimal]>),
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
            Test::Text(text) => text.holds(value),
            Test::Number(number) => is_number(value, number),
            Test::Literal(literal) => value.bytes() == literal.as_bytes(),
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
            Test::Cidr(block) => value.as_str().is_some_and(|text| block.contains(&text)),
            Test::ButTexts(texts) => !texts.iter().any(|text| text.holds(value)),
            Test::ButNumbers(numbers) => !numbers.iter().any(|number| is_number(value, number)),
        }
    }

    /// Why no value ever answers yes, if that is so. `numeric` is the only one: everything else
    /// that a pattern may ask holds for some text or number.
    pub(super) fn never(&self) -> Option<&'static str> {
        match self {
            Test::Numeric { low: Some(Bound { at: NUMERIC_MAX, inclusive: false }), .. } => {
                Some("`numeric` sees no number above 5e9")
            }
            Test::Numeric { high: Some(Bound { at, inclusive: false }), .. }
                if *at == -NUMERIC_MAX =>
            {
                Some("`numeric` sees no number below -5e9")
            }
            _ => None,
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
