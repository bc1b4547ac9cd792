//! dedup
pub mod index;
pub mod key;
pub mod scope;
