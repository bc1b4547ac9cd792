//! The stages that an event goes through, one file or folder each. None of them holds on to an
//! event: bytes in, bytes or a verdict out.

mod cursor;
mod decimal;

pub mod decode;
pub mod enrich;
pub mod filter;
pub mod route;
pub mod time;
pub mod transform;
pub mod validate;
