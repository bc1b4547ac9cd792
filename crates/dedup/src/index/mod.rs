//! The index of a scope's keys in memory.
