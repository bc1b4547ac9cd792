//! Programs: compiled at the start, run for every event.

use std::sync::Arc;

use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{CompileConfig, Function, TargetValue, TimeZone, compile_with_external, state};
use vrl::diagnostic::{DiagnosticList, Formatter};
use vrl::value::{Secrets, Value};

use super::STEPS_MAX;
use super::bounded::{BoundedTarget, Limit, Taken};
use crate::stage::transform::{About, TransformContext, TransformFault};

/// Functions that programs don't have, and why.
const DENIED: [(&str, &str); 19] = [
    ("get_env_var", ENVIRONMENT),
    ("get_hostname", ENVIRONMENT),
    ("get_timezone_name", ENVIRONMENT),
    ("dns_lookup", NETWORK),
    ("reverse_dns", NETWORK),
    ("http_request", "it calls others: use `enrich: [{ http: … }]`"),
    ("encode_proto", FILES),
    ("parse_proto", FILES),
    ("parse_etld", FILES),
    ("parse_groks", FILES),
    ("validate_json_schema", "it reads files: use `validate: { schema: … }`"),
    ("log", "it writes into the program's log"),
    ("unnest", "one event stays one event"),
    ("decode_gzip", DECOMPRESSION),
    ("decode_lz4", DECOMPRESSION),
    ("decode_snappy", DECOMPRESSION),
    ("decode_zlib", DECOMPRESSION),
    ("decode_zstd", DECOMPRESSION),
    ("sleep", "an event doesn't wait"),
];
const ENVIRONMENT: &str = "it reads the environment: use `${NAME}` in the config";
const NETWORK: &str = "it asks the network";
const FILES: &str = "it reads files";
const DECOMPRESSION: &str = "it makes much out of little: use `decode: [gzip]`, which has a bound";

/// A compiled program. Cheap to clone.
#[derive(Clone)]
pub(in crate::stage::transform) struct Program {
    compiled: Arc<vrl::compiler::Program>,
    source: Arc<str>,
    metadata: Arc<Metadata>,
}

struct Metadata {
    pipe: Value,
    source: Value,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("source", &self.source).finish_non_exhaustive()
    }
}

/// What programs may call.
fn functions() -> Vec<Box<dyn Function>> {
    let denied =
        |function: &dyn Function| DENIED.iter().any(|(name, _)| *name == function.identifier());
    let mut functions = vrl::stdlib::all();
    functions.retain(|function| !denied(&**function));
    functions
}

impl Program {
    /// Compiles a program.
    ///
    /// # Errors
    /// What is wrong: the first mistake with its place on the first line, then all of them as the
    /// compiler shows them, with the lines of the program.
    pub(in crate::stage::transform) fn new(
        source: &str,
        context: &TransformContext,
    ) -> Result<Program, String> {
        let external = state::ExternalEnv::default();
        let config = CompileConfig::default();
        let compiled = compile_with_external(source, &functions(), &external, config)
            .map_err(|diagnostics| mistakes(source, diagnostics))?;
        let metadata =
            Metadata { pipe: context.pipe.as_str().into(), source: context.source.as_str().into() };
        Ok(Program {
            compiled: Arc::new(compiled.program),
            source: source.into(),
            metadata: Arc::new(metadata),
        })
    }

    /// Appends what the program makes of a payload.
    pub(in crate::stage::transform) fn run(
        &self,
        payload: &[u8],
        about: About,
        out: &mut Vec<u8>,
    ) -> Result<(), TransformFault> {
        self.run_within(STEPS_MAX, payload, about, out)
    }

    fn run_within(
        &self,
        steps_max: u64,
        payload: &[u8],
        about: About,
        out: &mut Vec<u8>,
    ) -> Result<(), TransformFault> {
        let event = read(payload)?;
        let taken = Taken::new(steps_max);
        let metadata = self.metadata(about.received_ms);
        let mut target = BoundedTarget {
            event: TargetValue { value: event, metadata, secrets: Secrets::new() },
            taken: &taken,
            bytes_max: about.bytes_max,
        };
        let mut control = || taken.step();
        let utc = TimeZone::parse("UTC").unwrap_or_default();
        let end = Runtime::default().resolve_with_control(
            &mut target,
            &self.compiled,
            &utc,
            &mut control,
        );
        match (taken.limit(), end) {
            (Some(Limit::Bytes), _) => {
                return Err(TransformFault::TooLarge { bytes_max: about.bytes_max });
            }
            (Some(Limit::Steps), _) | (None, Err(Terminate::Interrupted)) => {
                let message = format!("stopped after {steps_max} expressions");
                return Err(TransformFault::VrlError(message.into()));
            }
            (None, Ok(_)) => {}
            (None, Err(Terminate::Abort(error))) => {
                return Err(TransformFault::VrlAbort(error.to_string().into()));
            }
            (None, Err(Terminate::Error(error))) => {
                let message = with_places(&self.source, &error.to_string());
                return Err(TransformFault::VrlError(message.into()));
            }
        }
        let start = out.len();
        serde_json::to_writer(&mut *out, &target.event.value)
            .map_err(|error| TransformFault::VrlError(error.to_string().into()))?;
        if out.len() - start > about.bytes_max {
            return Err(TransformFault::TooLarge { bytes_max: about.bytes_max });
        }
        Ok(())
    }

    fn metadata(&self, received_ms: i64) -> Value {
        let Metadata { pipe, source } = &*self.metadata;
        let mut received_at = Vec::new();
        crate::stage::time::write_rfc3339(received_ms.saturating_mul(1_000_000), &mut received_at);
        Value::Object(
            [
                ("pipe".into(), pipe.clone()),
                ("source".into(), source.clone()),
                ("received_at".into(), Value::from(received_at.as_slice())),
            ]
            .into_iter()
            .collect(),
        )
    }
}

/// Reads a payload; a name that stands twice in an object is a fault, as one of the two would be
/// lost.
fn read(payload: &[u8]) -> Result<Value, TransformFault> {
    let event: Value = serde_json::from_slice(payload)
        .map_err(|error| TransformFault::VrlError(error.to_string().into()))?;
    if fields_of(&event) != names_in(payload) {
        return Err(TransformFault::Ambiguous);
    }
    Ok(event)
}

/// How many fields a value has, at all levels.
fn fields_of(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len() + fields.values().map(fields_of).sum::<usize>(),
        Value::Array(elements) => elements.iter().map(fields_of).sum(),
        _ => 0,
    }
}

/// How many names a payload has: colons outside of strings.
fn names_in(json: &[u8]) -> usize {
    let (mut names, mut in_text, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b':' if !in_text => names += 1,
            _ => {}
        }
    }
    names
}

/// Line and column (in characters), both from 1, of a byte of the program.
fn place(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or(source);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// What the compiler says, for people.
fn mistakes(source: &str, diagnostics: DiagnosticList) -> String {
    let first = diagnostics.iter().find(|diagnostic| diagnostic.is_problem());
    let mut lines = match first {
        Some(first) => {
            let label = first.labels().iter().find(|label| label.primary);
            let (line, column) = place(source, label.map_or(0, |label| label.span.start()));
            let said = label.map_or_else(String::new, |label| format!(": {}", label.message));
            format!("line {line}, column {column}: {}{said}", first.message())
        }
        None => "the program doesn't compile".to_owned(),
    };
    for (name, why) in DENIED {
        if calls(source, name) {
            lines.push_str(&format!("\n`{name}` isn't available here: {why}"));
        }
    }
    let shown = Formatter::new(source, diagnostics).to_string();
    for line in shown.lines() {
        lines.push('\n');
        lines.push_str(line);
    }
    lines.trim_end().to_owned()
}

/// Whether a program that doesn't compile seems to call a function.
fn calls(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(at, _)| {
        let before = source.get(..at).and_then(|before| before.chars().next_back());
        let after = source.get(at + name.len()..).unwrap_or_default();
        let after = after.strip_prefix('!').unwrap_or(after).trim_start();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && after.starts_with('(')
    })
}

/// The language's places (`at (5:20)`, in bytes from the program's start) as line and column.
fn with_places(source: &str, message: &str) -> String {
    let mut said = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(" at (") {
        let span = after.split_once(')').and_then(|(span, after)| {
            let (start, end) = span.split_once(':')?;
            end.parse::<usize>().ok()?;
            Some((start.parse::<usize>().ok()?, after))
        });
        said.push_str(before);
        match span {
            Some((start, after)) => {
                let (line, column) = place(source, start);
                said.push_str(&format!(" at line {line}, column {column}"));
                rest = after;
            }
            None => {
                said.push_str(" at (");
                rest = after;
            }
        }
    }
    said.push_str(rest);
    said
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
