//! An event that a program works on, and the limits of that work.

use std::cell::Cell;
use std::ops::ControlFlow;

use vrl::compiler::{SecretTarget, Target, TargetValue};
use vrl::path::OwnedTargetPath;
use vrl::value::Value;

/// What a number, a bool or an entry of an object or array counts beside its text; bytes.
const VALUE_BYTES: usize = 8;

/// Why a program was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Too many expressions.
    Steps,
    /// Too many bytes.
    Bytes,
}

/// What a run of a program has taken so far.
#[derive(Debug)]
pub(super) struct Taken {
    steps_left: Cell<u64>,
    limit: Cell<Option<Limit>>,
}

impl Taken {
    /// Nothing yet, of so many expressions.
    pub(super) fn new(steps_max: u64) -> Taken {
        Taken { steps_left: Cell::new(steps_max), limit: Cell::new(None) }
    }

    /// The limit that was reached.
    pub(super) fn limit(&self) -> Option<Limit> {
        self.limit.get()
    }

    /// Asked between expressions: whether to go on.
    pub(super) fn step(&self) -> ControlFlow<()> {
        match self.steps_left.get().checked_sub(1) {
            Some(left) => self.steps_left.set(left),
            None => self.limit.set(self.limit.get().or(Some(Limit::Steps))),
        }
        if self.limit.get().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// An event that doesn't grow past a bound: what would make it larger isn't put in, and the program
/// stops.
#[derive(Debug)]
pub(super) struct BoundedTarget<'t> {
    pub(super) event: TargetValue,
    pub(super) taken: &'t Taken,
    pub(super) bytes_max: usize,
}

impl Target for BoundedTarget<'_> {
    fn target_insert(&mut self, path: &OwnedTargetPath, value: Value) -> Result<(), String> {
        if bytes_of(&value) > self.bytes_max {
            self.taken.limit.set(Some(Limit::Bytes));
            return Err("too large".to_owned());
        }
        self.event.target_insert(path, value)
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        self.event.target_get(path)
    }

    fn target_get_mut(&mut self, path: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        self.event.target_get_mut(path)
    }

    fn target_remove(
        &mut self,
        path: &OwnedTargetPath,
        compact: bool,
    ) -> Result<Option<Value>, String> {
        self.event.target_remove(path, compact)
    }
}

impl SecretTarget for BoundedTarget<'_> {
    fn get_secret(&self, key: &str) -> Option<&str> {
        self.event.get_secret(key)
    }

    fn insert_secret(&mut self, key: &str, value: &str) {
        self.event.insert_secret(key, value);
    }

    fn remove_secret(&mut self, key: &str) {
        self.event.remove_secret(key);
    }
}

/// About how long a value is as JSON; bytes.
fn bytes_of(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::Bytes(bytes) => bytes.len(),
            Value::String(text) => text.len(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| name.len() + bytes_of(value)).sum()
            }
            Value::Array(elements) => elements.iter().map(bytes_of).sum(),
            Value::Regex(regex) => regex.as_str().len(),
            // No wildcard: a kind of text that isn't counted has no bound.
            Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Timestamp(_)
            | Value::Null => 0,
        }
}
