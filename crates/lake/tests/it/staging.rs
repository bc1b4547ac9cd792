//! The staging sink without crashes.
