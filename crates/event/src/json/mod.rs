//! JSON as Onceflow needs it: one pass over a payload that checks it completely and notes where
//! the few fields stand that somebody asked for. No tree is built, nothing is copied.
//!
//! [`Selection::scan`] is that pass. It takes what RFC 8259 takes, if it is an object, at most
//! [`DEPTH_MAX`] deep and UTF-8. What it says of a field is a [`Raw`]: the bytes of one value,
//! decoded only on demand. For bytes that have been scanned there are lookups without a
//! selection: [`FieldPath::get`](crate::path::FieldPath::get), [`Raw::members`],
//! [`Raw::elements`]. What two payloads that mean the same share is their [`Canonical`] form.
//!
//! A name that stands twice in an object is let through, as the payload passes as it came. But if
//! it is a selected field, or one on the way to it, the event is refused as
//! [`AmbiguousField`](JsonErrorKind::AmbiguousField): readers downstream don't agree on which of
//! the two counts, and one of them would see another key than dedup did.

mod block;
mod canonical;
mod cursor;
mod error;
mod fields;
mod grammar;
mod lanes;
mod lookup;
mod number;
mod quotes;
mod raw;
mod selection;
mod strings;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod trie;
mod walk;

pub use canonical::{Canonical, NoCanonicalForm};
pub use cursor::{Cursor, Text};
pub use error::{Expected, JsonError, JsonErrorKind};
pub use lookup::{Elements, Members};
pub use number::{NumberTooBig, canonical_number};
pub use raw::{Kind, Raw};
pub use selection::{Found, Selection};

/// How many levels of objects and arrays a payload may have, the outermost included.
pub const DEPTH_MAX: usize = 128;
