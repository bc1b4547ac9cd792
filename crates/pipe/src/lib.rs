//! pipe

pub mod stage;
