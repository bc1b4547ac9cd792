//! `time`: writes a time in another form.

use event::json::{Kind, Raw};
use event::path::FieldPath;

use super::edits::{self, Edits, span_in};
use super::{Target, TransformFault};
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
    /// `None` if the path ends in an element of an array, or is `$`.
    target: Option<Target>,
    from: TimeFormat,
    to: TimeFormat,
}

impl Time {
    pub(super) fn new(field: &FieldPath, from: TimeFormat, to: TimeFormat) -> Time {
        Time { field: field.clone(), target: Target::of(field), from, to }
    }

    pub(super) fn field(&self) -> &FieldPath {
        &self.field
    }

    pub(super) fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        let Some(value) = self.find(payload, edits)? else { return Ok(()) };
        if value.kind() == Kind::Null {
            return Ok(());
        }
        let ns = self.from.parse_ns(value)?;
        edits.replace(span_in(payload, value.bytes()), |out| self.to.write(ns, out));
        Ok(())
    }

    fn find<'a>(
        &self,
        payload: &'a [u8],
        edits: &mut Edits,
    ) -> Result<Option<Raw<'a>>, TransformFault> {
        let Some(target) = &self.target else { return Ok(self.field.get(payload)?) };
        let members = edits.members_around(payload, target.parent.as_ref())?;
        let found = edits::find(&members, payload, &target.name);
        let value = found.map(|own| Some(members.get(own?)?.value(payload)));
        edits.keep(members);
        value
    }
}
