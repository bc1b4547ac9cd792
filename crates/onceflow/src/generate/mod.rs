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

pub(crate) use file::{Format, Made, TELL_EVERY, write};
pub(crate) use maker::Maker;
pub(crate) use options::{Asked, To, duration};
pub(crate) use order::{Amount, Order};
pub(crate) use pace::{Pace, RealTime, Stopwatch};
pub(crate) use read::{field_name, load};
pub(crate) use spec::{FieldName, Spec};
pub(crate) use template::{Item, Late, Sort};
pub(crate) use wire::{Delivery, Target, send};
