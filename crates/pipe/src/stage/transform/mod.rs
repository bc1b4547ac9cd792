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
mod time;

use event::path::{FieldPath, Step as PathStep};

pub(in crate::stage) use self::edits::{Edits, Member, find, members_of, push_string};
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
#[error("transform {position} (`{kind}`) of {field}: {what}")]
pub struct TransformError {
    /// The step's place in the list, from 1.
    pub position: usize,
    /// The kind of step, as configuration names it.
    pub kind: &'static str,
    /// The field that it concerns.
    pub field: FieldPath,
    /// What is wrong.
    pub what: TransformFault,
}

/// What is wrong with an event that a step can't change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// The step's path doesn't end in a name. Configuration is asked not to let that pass, see
    /// [`mistake`].
    #[error("the path doesn't end in the name of a field")]
    NotAName,
}

impl TransformError {
    /// A stable snake_case name, used as the reason of a rejection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.what {
            TransformFault::NotText => "transform_not_text",
            TransformFault::Time(error) => error.name(),
            TransformFault::Ambiguous => "json_ambiguous_field",
            TransformFault::NotAName => "transform_not_a_name",
        }
    }
}

/// What a pipe's transforms may know beside the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransformContext {
    /// `<aws.pipes.pipe-name>`: the pipe's name.
    pub pipe: String,
    /// `<aws.pipes.source-arn>`: the source's name as counters use it, or its ARN.
    pub source: String,
    /// The longest result that a step may make; bytes.
    pub result_bytes_max: usize,
}

/// Checks a step as it will be done, programs and templates included.
///
/// # Errors
/// What is wrong, in one line or, for programs and templates, with the line that it is in and a
/// caret below the place.
pub fn check(step: &TransformConfig) -> Result<(), String> {
    match mistake(step) {
        Some(mistake) => Err(mistake.to_owned()),
        None => Ok(()),
    }
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
    /// Its path doesn't end in a name: every event is refused, none is let through unchanged.
    NotAName(&'static str, FieldPath),
}

/// The transforms of one pipe, with the buffers they need. Owned by one thread.
#[derive(Debug)]
pub struct Transforms {
    /// With the position in the configured list.
    steps: Vec<(usize, Kind)>,
    scratch: [Vec<u8>; 2],
    edits: Edits,
}

impl Transforms {
    /// The steps, done one after the other: each sees what the one before it left.
    #[must_use]
    pub fn new(steps: &[TransformConfig]) -> Transforms {
        let steps = steps
            .iter()
            .enumerate()
            .flat_map(|(index, step)| kinds(step).into_iter().map(move |kind| (index + 1, kind)));
        Transforms {
            steps: steps.collect(),
            scratch: [Vec::new(), Vec::new()],
            edits: Edits::default(),
        }
    }

    /// As [`new`](Transforms::new), with what templates and programs may know of the pipe.
    ///
    /// # Errors
    /// As [`check`], for the first step that is wrong.
    pub fn for_pipe(
        steps: &[TransformConfig],
        _context: &TransformContext,
    ) -> Result<Transforms, String> {
        steps.iter().try_for_each(check)?;
        Ok(Transforms::new(steps))
    }

    /// Whether there is nothing to do, so that `apply` needn't be called.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.steps.is_empty()
    }

    /// As [`apply`](Transforms::apply), for an event that was received at this time (ms since the
    /// Unix epoch), which templates and programs can use.
    ///
    /// # Errors
    /// As there.
    pub fn apply_at(
        &mut self,
        payload: &[u8],
        _received_ms: i64,
        out: &mut Vec<u8>,
    ) -> Result<Applied, TransformError> {
        self.apply(payload, out)
    }

    /// Does all steps to one payload that the scanner has accepted, and appends the result to
    /// `out` if anything changed.
    ///
    /// # Errors
    /// [`TransformError`] of the first step that the event doesn't bear; `out` is as it was then.
    pub fn apply(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<Applied, TransformError> {
        let start = out.len();
        let [mut from, mut to] = std::mem::take(&mut self.scratch);
        let mut changed = false;
        let mut result = Ok(Applied::Same);
        let last = self.steps.len().saturating_sub(1);
        for (index, (position, step)) in self.steps.iter().enumerate() {
            let input = if changed { from.as_slice() } else { payload };
            let done = step.edit(input, &mut self.edits);
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

/// A step as it is done: `drop` once per object.
fn kinds(step: &TransformConfig) -> Vec<Kind> {
    let or_refuse = |kind: Option<Kind>, name, field: &FieldPath| {
        vec![kind.unwrap_or_else(|| Kind::NotAName(name, field.clone()))]
    };
    match step {
        TransformConfig::Split { field, at, into } => {
            let kind =
                Target::of(field).map(|target| Kind::Split(split::Split::new(target, at, into)));
            or_refuse(kind, "split", field)
        }
        TransformConfig::Time { field, from, to } => {
            vec![Kind::Time(time::Time::new(field, *from, *to))]
        }
        TransformConfig::Rename { from, to } => {
            let kind = Target::of(from).map(|target| Kind::Rename(rename::Rename::new(target, to)));
            or_refuse(kind, "rename", from)
        }
        TransformConfig::Template(_) | TransformConfig::Vrl(_) => Vec::new(),
        TransformConfig::Drop { fields } => {
            match fields.iter().find(|field| Target::of(field).is_none()) {
                Some(field) => or_refuse(None, "drop", field),
                None => {
                    let targets = fields.iter().filter_map(Target::of).collect();
                    drop::Drop::group(targets).into_iter().map(Kind::Drop).collect()
                }
            }
        }
    }
}

impl Kind {
    /// Notes what to change in the payload.
    fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        edits.clear();
        match self {
            Kind::Split(step) => step.edit(payload, edits),
            Kind::Time(step) => step.edit(payload, edits),
            Kind::Rename(step) => step.edit(payload, edits),
            Kind::Drop(step) => step.edit(payload, edits),
            Kind::NotAName(..) => Err(TransformFault::NotAName),
        }
    }

    #[cold]
    fn error(&self, position: usize, what: TransformFault) -> TransformError {
        let (kind, field) = match self {
            Kind::Split(step) => ("split", step.field()),
            Kind::Time(step) => ("time", step.field()),
            Kind::Rename(step) => ("rename", step.field()),
            Kind::Drop(step) => ("drop", step.field()),
            Kind::NotAName(kind, field) => (*kind, field),
        };
        TransformError { position, kind, field: field.clone(), what }
    }
}

#[cfg(test)]
mod tests;
