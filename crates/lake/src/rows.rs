//! How events become NDJSON rows.
