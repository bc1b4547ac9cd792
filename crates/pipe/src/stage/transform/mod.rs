//! Transforming: the built-in changes to an event.
//!
//! The payload stays text all the way: a step finds the bytes of the fields that it concerns and
//! copies everything around them as it came, in its order, spaces and all. New text is written
//! without spaces.
//!
//! What all steps have in common: a field that is missing or `null`, or whose path leads through
//! something that is no object, is left alone, and so is the event. A field that stands twice in
//! its object is an error for all but `drop`: readers don't agree on which of the two counts.
//!
//! Start reading at [`Transforms`]; each kind of step has a file of its own.

mod drop;
mod edits;
mod rename;
mod split;
mod template;
mod time;
mod vrl;

use event::json::DEPTH_MAX;
use event::path::{FieldPath, Step as PathStep};

pub(in crate::stage) use self::edits::{Edits, Member, find, members_of, push_string};
use self::template::Template;
use self::vrl::Program;
use super::time::TimeError;
use crate::config::TransformConfig;

/// What [`Transforms::apply`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing changed: the payload is what it was, and `out` too.
    Same,
    /// The changed payload was appended to `out`.
    Appended,
}

/// A step that an event doesn't bear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transform {position} (`{kind}`){of}: {what}", of = Of(.field.as_ref()))]
pub struct TransformError {
    /// The step's place in the list, from 1.
    pub position: usize,
    /// The kind of step, as configuration names it.
    pub kind: &'static str,
    /// The field that it concerns, if it concerns one.
    pub field: Option<FieldPath>,
    /// What is wrong.
    pub what: TransformFault,
}

/// ` of $.field`, or nothing.
struct Of<'a>(Option<&'a FieldPath>);

impl std::fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |field| write!(f, " of {field}"))
    }
}

/// What is wrong with an event that a step can't change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformFault {
    /// `split` needs text.
    #[error("the field isn't text")]
    NotText,
    /// `time` needs a time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The field, or one on the way to it, stands twice in its object.
    #[error("the field, or one on the way to it, stands twice in its object")]
    Ambiguous,
    /// The step can't be done to any event. Configuration is asked not to let that pass, see
    /// [`check`].
    #[error("{0}")]
    Unusable(Box<str>),
    /// A program failed.
    #[error("{0}")]
    VrlError(Box<str>),
    /// A program gave the event up.
    #[error("the program aborted: {0}")]
    VrlAbort(Box<str>),
    /// The result has too many bytes.
    #[error("the result has more than {bytes_max} bytes")]
    TooLarge {
        /// How many it may have.
        bytes_max: usize,
    },
    /// The result has too many levels.
    #[error("the result has more than {DEPTH_MAX} levels")]
    TooDeep,
}

impl TransformError {
    /// A stable snake_case name, used as the reason of a rejection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.what {
            TransformFault::NotText => "transform_not_text",
            TransformFault::Time(error) => error.name(),
            TransformFault::Ambiguous => "json_ambiguous_field",
            TransformFault::Unusable(_) => "transform_unusable",
            TransformFault::VrlError(_) => "vrl_error",
            TransformFault::VrlAbort(_) => "vrl_abort",
            TransformFault::TooLarge { .. } => "transform_too_large",
            TransformFault::TooDeep => "json_too_deep",
        }
    }
}

/// What a pipe's transforms may know beside the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformContext {
    /// `<aws.pipes.pipe-name>`: the pipe's name.
    pub pipe: String,
    /// `<aws.pipes.source-arn>`: the source's name as counters use it, or its ARN.
    pub source: String,
    /// The longest result that a step may make; bytes.
    pub result_bytes_max: usize,
}

impl Default for TransformContext {
    /// A pipe without a name, and 64 MiB for results.
    fn default() -> Self {
        Self { pipe: String::new(), source: String::new(), result_bytes_max: 64 << 20 }
    }
}

/// Checks a step as it will be done, programs and templates included.
///
/// # Errors
/// What is wrong, in one line or, for programs and templates, with the line that it is in and a
/// caret below the place.
pub fn check(step: &TransformConfig) -> Result<(), String> {
    kinds(step, &TransformContext::default()).map(|_| ())
}

/// What is wrong with a step before any event has come, if something is.
#[must_use]
pub fn mistake(step: &TransformConfig) -> Option<&'static str> {
    let needs_a_name = match step {
        TransformConfig::Split { field, .. } | TransformConfig::Rename { from: field, .. } => {
            std::slice::from_ref(field)
        }
        TransformConfig::Drop { fields } => fields,
        TransformConfig::Time { .. } | TransformConfig::Template(_) | TransformConfig::Vrl(_) => {
            &[]
        }
    };
    needs_a_name
        .iter()
        .any(|field| Target::of(field).is_none())
        .then_some("this path must end in the name of a field, like `$.a.b`")
}

/// A named field: the object it stands in, and its name there.
#[derive(Debug, Clone)]
struct Target {
    field: FieldPath,
    /// `None` for the payload itself.
    parent: Option<FieldPath>,
    name: Box<str>,
}

impl Target {
    fn of(field: &FieldPath) -> Option<Target> {
        let (last, way) = field.steps().split_last()?;
        let PathStep::Field(name) = last else { return None };
        let parent = FieldPath::from_steps(way.to_vec()).ok().filter(|_| !way.is_empty());
        Some(Target { field: field.clone(), parent, name: name.clone() })
    }
}

/// One step, ready to be done.
#[derive(Debug, Clone)]
enum Kind {
    Split(split::Split),
    Time(time::Time),
    Rename(rename::Rename),
    Drop(drop::Drop),
    Template(Template),
    Vrl(Program),
    /// It is wrong, and nobody asked [`check`]: every event is refused, none is let through
    /// unchanged.
    Unusable(&'static str, Box<str>),
}

/// What a step may know of an event beside its payload.
#[derive(Debug, Clone, Copy)]
struct About {
    received_ms: i64,
    bytes_max: usize,
}

/// The transforms of one pipe, with the buffers they need. Owned by one thread.
#[derive(Debug, Clone)]
pub struct Transforms {
    /// With the position in the configured list.
    steps: Vec<(usize, Kind)>,
    scratch: [Vec<u8>; 2],
    edits: Edits,
    bytes_max: usize,
}

impl Transforms {
    /// The steps, done one after the other: each sees what the one before it left. They know
    /// nothing of their pipe. A step that is wrong refuses every event.
    #[must_use]
    pub fn new(steps: &[TransformConfig]) -> Transforms {
        Transforms::build(steps, TransformContext::default(), |step, message| {
            Ok(vec![Kind::Unusable(name(step), message.into())])
        })
        .unwrap_or_else(|_| Transforms::of(Vec::new(), usize::MAX))
    }

    /// As [`new`](Transforms::new), with what templates and programs may know of the pipe. To read
    /// a program takes a while: workers had better clone what was made once.
    ///
    /// # Errors
    /// As [`check`], for the first step that is wrong.
    pub fn for_pipe(
        steps: &[TransformConfig],
        context: &TransformContext,
    ) -> Result<Transforms, String> {
        Transforms::build(steps, context.clone(), |_, message| Err(message))
    }

    fn build(
        steps: &[TransformConfig],
        context: TransformContext,
        wrong: impl Fn(&TransformConfig, String) -> Result<Vec<Kind>, String>,
    ) -> Result<Transforms, String> {
        let mut all = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let kinds = kinds(step, &context).or_else(|message| wrong(step, message))?;
            all.extend(kinds.into_iter().map(|kind| (index + 1, kind)));
        }
        Ok(Transforms::of(all, context.result_bytes_max))
    }

    fn of(steps: Vec<(usize, Kind)>, bytes_max: usize) -> Transforms {
        let (scratch, edits) = ([Vec::new(), Vec::new()], Edits::default());
        Transforms { steps, scratch, edits, bytes_max }
    }

    /// Whether there is nothing to do, so that `apply` needn't be called.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.steps.is_empty()
    }

    /// As [`apply_at`](Transforms::apply_at), for an event that was received in 1970.
    ///
    /// # Errors
    /// As there.
    pub fn apply(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<Applied, TransformError> {
        self.apply_at(payload, 0, out)
    }

    /// Does all steps to one payload that the scanner has accepted, and appends the result to
    /// `out` if anything changed. `received_ms` is when the event was received (ms since the Unix
    /// epoch), which templates and programs can use.
    ///
    /// # Errors
    /// [`TransformError`] of the first step that the event doesn't bear; `out` is as it was then.
    pub fn apply_at(
        &mut self,
        payload: &[u8],
        received_ms: i64,
        out: &mut Vec<u8>,
    ) -> Result<Applied, TransformError> {
        let about = About { received_ms, bytes_max: self.bytes_max };
        let start = out.len();
        let [mut from, mut to] = std::mem::take(&mut self.scratch);
        let mut changed = false;
        let mut result = Ok(Applied::Same);
        let last = self.steps.len().saturating_sub(1);
        for (index, (position, step)) in self.steps.iter().enumerate() {
            let input = if changed { from.as_slice() } else { payload };
            let done = step.edit(input, about, &mut self.edits);
            if let Err(what) = done {
                out.truncate(start);
                result = Err(step.error(*position, what));
                break;
            }
            if index == last && (changed || !self.edits.is_empty()) {
                self.edits.write(input, out);
                result = Ok(Applied::Appended);
            } else if !self.edits.is_empty() {
                to.clear();
                self.edits.write(input, &mut to);
                std::mem::swap(&mut from, &mut to);
                changed = true;
            }
        }
        self.scratch = [from, to];
        result
    }
}

/// The name of a step in the config.
fn name(step: &TransformConfig) -> &'static str {
    match step {
        TransformConfig::Split { .. } => "split",
        TransformConfig::Time { .. } => "time",
        TransformConfig::Rename { .. } => "rename",
        TransformConfig::Drop { .. } => "drop",
        TransformConfig::Template(_) => "template",
        TransformConfig::Vrl(_) => "vrl",
    }
}

/// A step as it is done: `drop` once per object. The error is for people.
fn kinds(step: &TransformConfig, context: &TransformContext) -> Result<Vec<Kind>, String> {
    if let Some(mistake) = mistake(step) {
        return Err(mistake.to_owned());
    }
    Ok(match step {
        TransformConfig::Split { field, at, into } => Target::of(field)
            .map(|target| Kind::Split(split::Split::new(target, at, into)))
            .into_iter()
            .collect(),
        TransformConfig::Time { field, from, to } => {
            vec![Kind::Time(time::Time::new(field, *from, *to))]
        }
        TransformConfig::Rename { from, to } => Target::of(from)
            .map(|target| Kind::Rename(rename::Rename::new(target, to)))
            .into_iter()
            .collect(),
        TransformConfig::Drop { fields } => {
            let targets = fields.iter().filter_map(Target::of).collect();
            drop::Drop::group(targets).into_iter().map(Kind::Drop).collect()
        }
        TransformConfig::Template(text) => vec![Kind::Template(Template::new(text, context)?)],
        TransformConfig::Vrl(source) => vec![Kind::Vrl(Program::new(source, context)?)],
    })
}

impl Kind {
    /// Notes what to change in the payload.
    fn edit(&self, payload: &[u8], about: About, edits: &mut Edits) -> Result<(), TransformFault> {
        edits.clear();
        match self {
            Kind::Split(step) => step.edit(payload, edits),
            Kind::Time(step) => step.edit(payload, edits),
            Kind::Rename(step) => step.edit(payload, edits),
            Kind::Drop(step) => step.edit(payload, edits),
            Kind::Template(template) => edits.whole(payload, |out| {
                template.render(payload, about.received_ms, about.bytes_max, out)
            }),
            Kind::Vrl(program) => edits.whole(payload, |out| program.run(payload, about, out)),
            Kind::Unusable(_, why) => Err(TransformFault::Unusable(why.clone())),
        }
    }

    #[cold]
    fn error(&self, position: usize, what: TransformFault) -> TransformError {
        let (kind, field) = match self {
            Kind::Split(step) => ("split", Some(step.field())),
            Kind::Time(step) => ("time", Some(step.field())),
            Kind::Rename(step) => ("rename", Some(step.field())),
            Kind::Drop(step) => ("drop", Some(step.field())),
            Kind::Template(_) => ("template", None),
            Kind::Vrl(_) => ("vrl", None),
            Kind::Unusable(kind, _) => (*kind, None),
        };
        TransformError { position, kind, field: field.cloned(), what }
    }
}

#[cfg(test)]
mod tests;
