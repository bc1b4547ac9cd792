//! `time`: writes a time in another form.

use event::json::Kind;
use event::path::FieldPath;

use super::TransformFault;
use super::edits::{Edits, span_in};
use crate::stage::time::TimeFormat;

/// Reads the time in a field and writes it in another form, where it stands.
///
/// - No digit gets lost but those finer than the target's unit, which are cut off.
/// - A time in another unit than the one configured, before 1990 or after 2100, or no time at all
///   is an error with the name that [`TimeError`](crate::stage::time::TimeError) gives it.
/// - The path may end in an element of an array.
#[derive(Debug, Clone)]
pub(super) struct Time {
    pub(super) field: FieldPath,
    pub(super) from: TimeFormat,
    pub(super) to: TimeFormat,
}

impl Time {
    pub(super) fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        let Some(value) = self.field.get(payload)? else { return Ok(()) };
        if value.kind() == Kind::Null {
            return Ok(());
        }
        let ns = self.from.parse_ns(value)?;
        edits.replace(span_in(payload, value.bytes()), |out| self.to.write(ns, out));
        Ok(())
    }
}
