//! AWS wire protocols.
