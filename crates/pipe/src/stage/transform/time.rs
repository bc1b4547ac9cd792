//! `time`: writes a time in another form.

use event::json::{Kind, Raw};
use event::path::FieldPath;

use super::TransformFault;
use super::edits::{self, Edits};
use crate::stage::cursor::Cursor;
use crate::stage::time::TimeFormat;

/// Reads the time in a field and writes it in another form, where it stands.
///
/// - No digit gets lost but those finer than the target's unit, which are cut off.
/// - A time in another unit than the one configured, before 1990 or after 2100, or no time at all
///   is an error with the name that [`TimeError`](crate::stage::time::TimeError) gives it.
/// - The path may end in an element of an array.
#[derive(Debug, Clone)]
pub(super) struct Time {
    field: FieldPath,
    from: TimeFormat,
    to: TimeFormat,
}

impl Time {
    pub(super) fn new(field: &FieldPath, from: TimeFormat, to: TimeFormat) -> Time {
        Time { field: field.clone(), from, to }
    }

    pub(super) fn field(&self) -> &FieldPath {
        &self.field
    }

    pub(super) fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        let Some(at) = edits::find_value(payload, self.field.steps())? else { return Ok(()) };
        let Some(span) = Cursor::at(payload, at).skip() else { return Ok(()) };
        let value = Raw::new(payload.get(span.clone()).unwrap_or_default());
        if value.kind() == Kind::Null {
            return Ok(());
        }
        let ns = self.from.parse_ns(value)?;
        edits.replace(span, |out| self.to.write(ns, out));
        Ok(())
    }
}
