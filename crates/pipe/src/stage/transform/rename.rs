//! `rename`: gives a field another name.

use event::path::FieldPath;

use super::edits::{self, Edits, Member, Removal};
use super::{Target, TransformFault};

/// Gives a field another name, where it stands.
///
/// - What the object had under the new name goes, however often it stood there.
/// - `null` is renamed as any other value.
#[derive(Debug, Clone)]
pub(super) struct Rename {
    target: Target,
    to: Box<str>,
    to_json: Box<[u8]>,
}

impl Rename {
    pub(super) fn new(target: Target, to: &str) -> Rename {
        let mut json = Vec::new();
        edits::push_string(to, &mut json);
        Rename { target, to: to.into(), to_json: json.into() }
    }

    pub(super) fn field(&self) -> &FieldPath {
        &self.target.field
    }

    pub(super) fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        let members = edits.members_around(payload, self.target.parent.as_ref())?;
        let found = edits::find(&members, payload, &self.target.name);
        if let Ok(Some(own)) = found
            && self.to != self.target.name
        {
            self.edit_members(payload, &members, own, edits);
        }
        edits.keep(members);
        found.map(|_| ())
    }

    fn edit_members(&self, payload: &[u8], members: &[Member], own: usize, edits: &mut Edits) {
        let mut removal = Removal::default();
        for (index, member) in members.iter().enumerate() {
            if index == own {
                removal.kept();
                edits.replace(member.name.clone(), |out| out.extend_from_slice(&self.to_json));
            } else if member.is_named(payload, &self.to) {
                let cut = removal.cut(members, index);
                edits.replace(cut, |_| {});
            } else {
                removal.kept();
            }
        }
    }
}
