//! `drop`: removes fields.

use event::path::FieldPath;

use super::edits::Edits;
use super::{Target, TransformFault};

/// Removes fields of one object, `null` or not, however often they stand there, each with a comma
/// beside it.
#[derive(Debug, Clone)]
pub(super) struct Drop {
    first: Target,
    names: Vec<Box<str>>,
}

impl Drop {
    /// One step per object, in the order in which the objects are first named.
    pub(super) fn group(targets: Vec<Target>) -> Vec<Drop> {
        let mut steps: Vec<Drop> = Vec::new();
        for target in targets {
            match steps.iter_mut().find(|step| step.first.parent == target.parent) {
                Some(step) => step.names.push(target.name),
                None => steps.push(Drop { names: vec![target.name.clone()], first: target }),
            }
        }
        steps
    }

    pub(super) fn field(&self) -> &FieldPath {
        &self.first.field
    }

    pub(super) fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        let members = edits.members_around(payload, self.first.parent.as_ref())?;
        edits.remove(&members, |member| {
            self.names.iter().any(|name| member.is_named(payload, name))
        });
        edits.keep(members);
        Ok(())
    }
}
