//! The walk over a payload.
