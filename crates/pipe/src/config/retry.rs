//! Builds `retry` and `circuit`, of the pipe and of a sink.

use super::delivery::{CircuitConfig, RetryConfig};
use super::section::Section;

/// The pipe's `retry`.
pub(crate) fn of_pipe(pipe: &Section) -> Option<RetryConfig> {
    let section = pipe.section("retry")?;
    let (backoff_min, backoff_max) = section.range("backoff")?;
    Some(RetryConfig {
        attempts_max: section.count("attempts_max")?,
        age_max: section.duration("age_max")?,
        backoff_min,
        backoff_max,
        jitter: section.word("jitter")? == "full",
    })
}

/// A sink's `retry`: what isn't written is the pipe's.
pub(crate) fn of_sink(sink: &Section, pipes: RetryConfig) -> Option<RetryConfig> {
    if sink.entry("retry").is_none() {
        return Some(pipes);
    }
    let section = sink.section("retry")?;
    let mut retry = pipes;
    if section.is_written("attempts_max") {
        retry.attempts_max = section.count("attempts_max")?;
    }
    if section.is_written("age_max") {
        retry.age_max = section.duration("age_max")?;
    }
    if section.is_written("backoff") {
        (retry.backoff_min, retry.backoff_max) = section.range("backoff")?;
    }
    if section.is_written("jitter") {
        retry.jitter = section.word("jitter")? == "full";
    }
    Some(retry)
}

/// The pipe's `circuit`.
pub(crate) fn circuit_of_pipe(pipe: &Section) -> Option<CircuitConfig> {
    let section = pipe.section("circuit")?;
    let (pause_min, pause_max) = section.range("pause")?;
    Some(CircuitConfig { failures_max: section.count("failures_max")?, pause_min, pause_max })
}

/// A sink's `circuit`: what isn't written is the pipe's.
pub(crate) fn circuit_of_sink(sink: &Section, pipes: CircuitConfig) -> Option<CircuitConfig> {
    if sink.entry("circuit").is_none() {
        return Some(pipes);
    }
    let section = sink.section("circuit")?;
    let mut circuit = pipes;
    if section.is_written("failures_max") {
        circuit.failures_max = section.count("failures_max")?;
    }
    if section.is_written("pause") {
        (circuit.pause_min, circuit.pause_max) = section.range("pause")?;
    }
    Some(circuit)
}
