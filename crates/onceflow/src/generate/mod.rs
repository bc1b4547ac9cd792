//! `onceflow generate`: events out of a description of them, the same for the same seed.
//!
//! `read` turns YAML into a `spec`, `compile` and `template` make events by number, `order` says
//! which number comes next, `maker` wraps the text, `pace` holds a rate; `file` writes them and
//! `wire` sends them.

mod compile;
mod digits;
mod file;
mod lambda;
mod maker;
mod names;
mod options;
mod order;
mod pace;
mod read;
mod read_value;
mod rng;
mod spec;
mod template;
mod wire;
mod yaml;

use std::io::{self, Write};

pub(crate) use file::{Format, Made, write};
pub(crate) use maker::Maker;
pub(crate) use options::{Asked, To};
pub(crate) use order::{Amount, Order};
pub(crate) use pace::{Pace, RealTime, Stopwatch};
pub(crate) use read::{field_name, load};
pub(crate) use spec::{FieldName, Spec};
pub(crate) use template::Late;
pub(crate) use wire::{Delivery, Target, send};

/// Writes `amount` events as NDJSON, as fast as it goes.
pub(crate) fn generate(spec: &Spec, amount: Amount, out: &mut dyn Write) -> io::Result<Made> {
    let mut maker = Maker::new(spec, &amount, false, None);
    let mut watch = RealTime::start();
    let pace = (&mut Pace::new(None), &mut watch as &mut dyn Stopwatch);
    file::write(&mut maker, Order::new(&amount), Format::Lines, pace, out)
}
