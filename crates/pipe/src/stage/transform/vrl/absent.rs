//! Programs in a build without the language.

use crate::stage::transform::{About, TransformContext, TransformFault};

/// A program; there is none.
#[derive(Debug, Clone)]
pub(in crate::stage::transform) enum Program {}

impl Program {
    /// Refuses any program.
    pub(in crate::stage::transform) fn new(_: &str, _: &TransformContext) -> Result<Self, String> {
        Err("this build has no VRL: build with --features vrl".to_owned())
    }

    pub(in crate::stage::transform) fn run(
        &self,
        _: &[u8],
        _: About,
        _: &mut Vec<u8>,
    ) -> Result<(), TransformFault> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_refused_with_the_way_out() {
        let refused = Program::new(".", &TransformContext::default()).unwrap_err();
        assert_eq!(refused, "this build has no VRL: build with --features vrl");
    }
}
