//! Reads the text of a template, and says where in it something is wrong.

use std::collections::HashMap;
use std::fmt;

use super::path::Path;
use super::{Part, Source, Template};
use crate::stage::transform::{TransformContext, push_string};

/// The most characters that a template may have (the service's limit).
pub(super) const TEMPLATE_CHARS_MAX: usize = 8192;
/// The most variables of an input transformer (the service's limit).
const VARIABLES_MAX: usize = 100;

const RESERVED: &str = "there are <$.path>, <aws.pipes.pipe-name>, <aws.pipes.pipe-arn>, \
     <aws.pipes.source-arn>, <aws.pipes.event.ingestion-time>, <aws.pipes.event> and \
     <aws.pipes.event.json>";

/// A template that can't be used: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateError {
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// How many characters the caret marks.
    len: usize,
    /// The line that it is in.
    text: String,
    pub(super) message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        writeln!(f, "  {}", self.text)?;
        let (before, marks) = (self.column.saturating_sub(1), self.len.max(1));
        write!(f, "  {}{}", " ".repeat(before), "^".repeat(marks))
    }
}

/// How a template is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// JSON with insertions in it.
    Json,
    /// Text that becomes a JSON string.
    Text,
}

struct Parser<'t> {
    text: &'t str,
    kind: Kind,
    variables: &'t HashMap<String, Source>,
    context: &'t TransformContext,
    at: usize,
    parts: Vec<Part>,
    literal: Vec<u8>,
    /// The template with insertions filled, and which byte of it comes from which of the text.
    sample: String,
    origins: Vec<(usize, usize)>,
    in_string: bool,
    /// The first insertion in the string that is being read.
    in_this_string: Option<(usize, usize)>,
}

/// Reads a template, or an input transformer: a JSON object of `InputPathsMap` and `InputTemplate`.
pub(super) fn parse(text: &str, context: &TransformContext) -> Result<Template, TemplateError> {
    let chars = text.chars().count();
    if chars > TEMPLATE_CHARS_MAX {
        let message = format!("{chars} characters; {TEMPLATE_CHARS_MAX} are allowed");
        return Err(error_at(text, 0, 1, message));
    }
    if let Ok(serde_json::Value::Object(transformer)) = serde_json::from_str(text)
        && let Some(template) = transformer.get("InputTemplate")
    {
        return transformer_of(text, &transformer, template, context);
    }
    read(text, &HashMap::new(), context)
}

fn transformer_of(
    text: &str,
    transformer: &serde_json::Map<String, serde_json::Value>,
    template: &serde_json::Value,
    context: &TransformContext,
) -> Result<Template, TemplateError> {
    let at_name = |name: &str, message: String| {
        let quoted = serde_json::Value::from(name).to_string();
        let at = text.find(&quoted).unwrap_or(0);
        error_at(text, at, quoted.len(), message)
    };
    let mut variables = HashMap::new();
    for (name, value) in transformer {
        let paths = match name.as_str() {
            "InputTemplate" => continue,
            "InputPathsMap" => value.as_object(),
            _ => {
                let message = format!("an input transformer has no `{name}`");
                return Err(at_name(name, message));
            }
        };
        let Some(paths) = paths.filter(|paths| paths.len() <= VARIABLES_MAX) else {
            let message = format!("this takes an object of at most {VARIABLES_MAX} paths");
            return Err(at_name(name, message));
        };
        for (name, path) in paths {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(plain) {
                let message = "a variable's name has letters, digits, `_` and `-`".to_owned();
                return Err(at_name(name, message));
            }
            let Some(path) = path.as_str() else {
                return Err(at_name(name, "a variable is a path, in quotes".to_owned()));
            };
            let path = Path::parse(path)
                .map_err(|(_, hint)| at_name(name, format!("the path `{path}`: {hint}")))?;
            variables.insert(name.clone(), Source::Path(path));
        }
    }
    let reserved: [(&str, Source); 5] = [
        ("aws.events.rule-name", fixed(&context.pipe)),
        ("aws.events.rule-arn", fixed(&pipe_arn(context))),
        ("aws.events.event.ingestion-time", Source::IngestionTime),
        ("aws.events.event", Source::Event),
        ("aws.events.event.json", Source::Event),
    ];
    variables.extend(reserved.map(|(name, source)| (name.to_owned(), source)));
    match template {
        serde_json::Value::String(template) => read(template, &variables, context),
        _ => Err(at_name("InputTemplate", "the template is a text, in quotes".to_owned())),
    }
}

fn read(
    text: &str,
    variables: &HashMap<String, Source>,
    context: &TransformContext,
) -> Result<Template, TemplateError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(error_at(text, 0, 1, "the template is empty".to_owned()));
    }
    let start = text.len() - text.trim_start().len();
    let mut parser = Parser {
        text,
        kind: kind_of(trimmed),
        variables,
        context,
        at: start,
        parts: Vec::new(),
        literal: Vec::new(),
        sample: String::new(),
        origins: Vec::new(),
        in_string: false,
        in_this_string: None,
    };
    parser.run(start + trimmed.len())?;
    parser.finish()
}

/// JSON if it begins like an object, an array or a string, if it is one insertion and nothing
/// else, or if it is any other JSON; else text.
fn kind_of(text: &str) -> Kind {
    let alone = text.starts_with('<') && text.find('>') == Some(text.len() - 1);
    let is_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
    if text.starts_with(['{', '[', '"']) || alone || is_json { Kind::Json } else { Kind::Text }
}

impl Parser<'_> {
    fn run(&mut self, end: usize) -> Result<(), TemplateError> {
        while let Some(c) = self.text.get(self.at..end).and_then(|rest| rest.chars().next()) {
            let next =
                self.text.get(self.at + c.len_utf8()..end).and_then(|rest| rest.chars().next());
            match (c, next) {
                // In JSON a backslash before another character is an escape of JSON.
                ('\\', Some(escaped @ ('<' | '>'))) => {
                    self.at += 1;
                    self.push(escaped);
                }
                ('\\', Some(escaped)) if self.kind == Kind::Json => {
                    self.push('\\');
                    self.push(escaped);
                }
                ('<', _) => self.insertion(end)?,
                ('"', _) if self.kind == Kind::Json => {
                    self.push('"');
                    self.quote(end)?;
                }
                // Payloads have no line breaks; here they stand between values.
                ('\n' | '\r', _) if self.kind == Kind::Json && !self.in_string => {
                    self.note(c);
                    self.literal.push(b' ');
                    self.at += 1;
                }
                _ => self.push(c),
            }
        }
        Ok(())
    }

    fn note(&mut self, c: char) {
        self.origins.push((self.sample.len(), self.at));
        self.sample.push(c);
    }

    fn push(&mut self, c: char) {
        self.note(c);
        match self.kind {
            Kind::Json => self.literal.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Kind::Text => {
                let mut json = Vec::new();
                push_string(c.encode_utf8(&mut [0; 4]), &mut json);
                self.literal.extend_from_slice(json.get(1..json.len() - 1).unwrap_or_default());
            }
        }
        self.at += c.len_utf8();
    }

    /// A quote of JSON was passed. The name of a field can't have insertions.
    fn quote(&mut self, end: usize) -> Result<(), TemplateError> {
        self.in_string = !self.in_string;
        if let (false, Some((at, len))) = (self.in_string, self.in_this_string.take()) {
            let rest = self.text.get(self.at..end).unwrap_or_default();
            if rest.trim_start().starts_with(':') {
                let message = "the name of a field can't have an insertion".to_owned();
                return Err(error_at(self.text, at, len, message));
            }
        }
        Ok(())
    }

    fn insertion(&mut self, end: usize) -> Result<(), TemplateError> {
        let start = self.at;
        let rest = self.text.get(start + 1..end).unwrap_or_default();
        let Some(len) = rest.find(['>', '<', '\n']).filter(|len| rest[*len..].starts_with('>'))
        else {
            let message = "this insertion has no `>`; for the character itself write `\\<`";
            return Err(error_at(self.text, start, 1, message.to_owned()));
        };
        let name = rest.get(..len).unwrap_or_default();
        let source = self.source(name, start)?;
        let quoted = self.in_string || self.kind == Kind::Text;
        if quoted {
            self.in_this_string.get_or_insert((start, len + 2));
        }
        let literal = std::mem::take(&mut self.literal);
        self.parts.push(Part::Literal(literal.into()));
        self.parts.push(Part::Value { source, quoted });
        self.origins.push((self.sample.len(), start));
        self.sample.push_str(if quoted { "x" } else { "null" });
        self.at = start + len + 2;
        Ok(())
    }

    fn source(&self, name: &str, start: usize) -> Result<Source, TemplateError> {
        let whole = name.len() + 2;
        if name.starts_with('$') {
            return Path::parse(name).map(Source::Path).map_err(|(at, hint)| {
                error_at(self.text, start + 1 + at, 1, format!("the path `{name}`: {hint}"))
            });
        }
        if let Some(source) = self.variables.get(name) {
            return Ok(source.clone());
        }
        Ok(match name {
            "aws.pipes.pipe-name" => fixed(&self.context.pipe),
            "aws.pipes.pipe-arn" => fixed(&pipe_arn(self.context)),
            "aws.pipes.source-arn" => fixed(&self.context.source),
            "aws.pipes.event.ingestion-time" => Source::IngestionTime,
            "aws.pipes.event" | "aws.pipes.event.json" => Source::Event,
            "aws.pipes.target-arn" | "aws.pipes.enrichment-arn" => {
                let message = format!("`<{name}>` means nothing here: an event has several sinks");
                return Err(error_at(self.text, start, whole, message));
            }
            _ => {
                let names = self.variables.keys().filter(|name| !name.starts_with("aws."));
                let mut names: Vec<&str> = names.map(String::as_str).collect();
                names.sort_unstable();
                let known = match names.is_empty() {
                    true => RESERVED.to_owned(),
                    false => format!("the map has {}", names.join(", ")),
                };
                let message = format!(
                    "`<{name}>` is no variable; {known}; for the character itself write `\\<`"
                );
                return Err(error_at(self.text, start, whole, message));
            }
        })
    }

    fn finish(mut self) -> Result<Template, TemplateError> {
        if self.kind == Kind::Json {
            // What insertions give is JSON wherever this is: a value, or text within a string.
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&self.sample) {
                let at = self.origin(error.line(), error.column());
                let said = error.to_string();
                let what = said.split(" at line ").next().unwrap_or_default();
                return Err(error_at(self.text, at, 1, format!("this doesn't give JSON: {what}")));
            }
        }
        let literal = std::mem::take(&mut self.literal);
        self.parts.push(Part::Literal(literal.into()));
        if self.kind == Kind::Text {
            self.parts.insert(0, Part::Literal(b"\"".as_slice().into()));
            self.parts.push(Part::Literal(b"\"".as_slice().into()));
        }
        Ok(Template { parts: self.parts.into() })
    }

    /// Where in the text a place of the sample comes from.
    fn origin(&self, line: usize, column: usize) -> usize {
        let lines = self.sample.split_inclusive('\n').take(line.saturating_sub(1));
        let at = (lines.map(str::len).sum::<usize>() + column).saturating_sub(1);
        let before = self.origins.partition_point(|(sample, _)| *sample <= at);
        before.checked_sub(1).and_then(|index| self.origins.get(index)).map_or(0, |(_, text)| *text)
    }
}

fn fixed(text: &str) -> Source {
    let mut json = Vec::new();
    push_string(text, &mut json);
    Source::Fixed(json.into())
}

fn pipe_arn(context: &TransformContext) -> String {
    format!("arn:onceflow:pipes:us-east-1:000000000000:pipe/{}", context.pipe)
}

/// An error that marks `len` bytes of the text, within their line.
fn error_at(text: &str, at: usize, len: usize, message: String) -> TemplateError {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let marked = text.get(at..).unwrap_or_default().lines().next().unwrap_or_default();
    let marked = marked.get(..len.min(marked.len())).unwrap_or_default();
    TemplateError {
        line: before.matches('\n').count() + 1,
        column,
        len: marked.chars().count(),
        text: line.to_owned(),
        message,
    }
}
