//! Files: a source that resumes by byte offset, and a sink that appends in place.

pub(crate) mod in_place;
pub mod sink;
pub mod source;
