//! Moving in and out: keys of a scope as text, and into a ledger from elsewhere.
//!
//! `export` looks only. `import` changes the ledger, so it goes to whoever owns the data folder
//! ([`serve`]), or opens the folder itself while nobody does. Where keys come from is a file of its
//! own: `exported.rs`, `lines.rs`, `rdb.rs`, `lake.rs`; all hand them to one [`taker::Taker`].

pub(crate) mod args;
mod asked;
mod export;
mod exported;
mod form;
mod import;
mod lake;
mod lines;
mod lzf;
mod pattern;
mod rdb;
mod show;
mod taker;

pub(crate) use asked::Asked;
pub(crate) use export::export;
pub(crate) use import::{import, serve};
