//! `vrl`: runs a program in the Vector Remap Language.
//!
//! - The event is `.`, and what `.` is at the end is the new payload: any JSON value, its fields in
//!   alphabetical order. Integers are 64 bits long; larger ones and those with decimals are floats.
//! - `%pipe`, `%source` and `%received_at` say what the pipe knows. The time zone is UTC.
//! - A program that fails rejects the event as `vrl_error`, `abort` as `vrl_abort`.
//! - What a program sees is the event. Functions that read files or the environment, call others,
//!   write to the log, or can make much out of little (decompression), are not there.
//! - A program ends: it has no loops but those over what an event holds, and stops after
//!   [`STEPS_MAX`] expressions, or when `.` grows past the bound of results.
//!
//! Builds without the cargo feature `vrl` refuse programs at the start.

#[cfg(not(feature = "vrl"))]
mod absent;
#[cfg(feature = "vrl")]
mod bounded;
#[cfg(feature = "vrl")]
mod program;

#[cfg(not(feature = "vrl"))]
pub(super) use self::absent::Program;
#[cfg(feature = "vrl")]
pub(super) use self::program::Program;

/// Expressions that a program may evaluate for one event.
pub(super) const STEPS_MAX: u64 = 10_000_000;
