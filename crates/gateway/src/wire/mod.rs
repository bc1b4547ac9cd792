//! JSON as the services have it: read in one pass into borrowed strings, written straight into a
//! buffer.

mod out;
mod read;
mod text;

pub(crate) use out::Out;
pub(crate) use read::read;
pub(crate) use text::Text;
