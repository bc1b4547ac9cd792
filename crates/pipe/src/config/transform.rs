//! Changes to an event.

use event::path::{FieldPath, Step};

use super::envelope::time_format;
use super::place::{Place, SourceText};
use super::problem::Problems;
use super::section::{Checked, Section, Value};
use crate::stage::time::TimeFormat;
use crate::stage::transform::{check, mistake};

/// One change to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransformConfig {
    /// Cuts a text into new fields beside it.
    Split {
        /// The text to cut.
        field: FieldPath,
        /// Where to cut; 1 to 16 characters.
        at: String,
        /// The names of the new fields, 2 to 16, all different.
        into: Vec<String>,
    },
    /// Writes a time in another form.
    Time {
        /// The time.
        field: FieldPath,
        /// How it is written.
        from: TimeFormat,
        /// How it shall be written; never the same as `from`.
        to: TimeFormat,
    },
    /// Gives a field another name where it stands.
    Rename {
        /// The field.
        from: FieldPath,
        /// Its new name.
        to: String,
    },
    /// Removes fields.
    Drop {
        /// The fields, at least one.
        fields: Vec<FieldPath>,
    },
    /// Makes a new payload from an EventBridge input template.
    Template(String),
    /// Runs a program in the Vector Remap Language.
    Vrl(String),
}

/// Builds the transforms. `None`: one of them is wrong.
pub(crate) fn build(pipe: &Section, problems: &mut Problems<'_>) -> Option<Vec<TransformConfig>> {
    if pipe.entry("transform").is_none() {
        return Some(Vec::new());
    }
    if let Some(program) = pipe.text("transform") {
        let program = TransformConfig::Vrl(program.to_owned());
        return checked(program, pipe.place_of("transform"), problems).map(|step| vec![step]);
    }
    // Every step is built before one that is wrong ends it: all errors are wanted.
    let steps: Vec<Option<TransformConfig>> = pipe
        .list("transform")?
        .iter()
        .map(|item| match &item.value {
            Value::Section(step) => one(step, problems),
            _ => None,
        })
        .collect();
    steps.into_iter().collect()
}

fn one(step: &Section, problems: &mut Problems<'_>) -> Option<TransformConfig> {
    let entry = step.entries.first()?;
    if let Value::Text(text) = &entry.checked.value {
        let step = match entry.key.name {
            "template" => TransformConfig::Template(text.clone()),
            _ => TransformConfig::Vrl(text.clone()),
        };
        return checked(step, entry.checked.place, problems);
    }
    let section = step.section(entry.key.name)?;
    check_paths(section, problems);
    match entry.key.name {
        "split" => split(section, problems),
        "time" => time(section, problems),
        "rename" => rename(section, problems),
        _ => drop(section, problems),
    }
}

/// Asks the transform about a program or template.
fn checked(
    step: TransformConfig,
    place: Place,
    problems: &mut Problems<'_>,
) -> Option<TransformConfig> {
    let Err(mistake) = check(&step) else { return Some(step) };
    let (what, help) = match &step {
        TransformConfig::Template(_) => {
            ("template", "`<$.path>` is a value of the event, `<aws.pipes.…>` one of the pipe")
        }
        _ => ("program", "the language: https://vrl.dev"),
    };
    let text = match &step {
        TransformConfig::Template(text) | TransformConfig::Vrl(text) => text.as_str(),
        _ => "",
    };
    let mut lines = mistake.lines();
    let first = lines.next().unwrap_or("");
    let place = line_and_column(first)
        .and_then(|at| spot(problems.source, place, text, at))
        .unwrap_or(place);
    let message = format!("this {what} can't be used: {first}");
    let lines = lines.skip_while(|line| line.trim().is_empty());
    problems.add(place, message).details(lines).help(help);
    None
}

/// What `line 2, column 6: …` begins with.
fn line_and_column(mistake: &str) -> Option<(usize, usize)> {
    let (line, rest) = mistake.strip_prefix("line ")?.split_once(", column ")?;
    let (column, _) = rest.split_once(':')?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Where in the file line and column of a text are, if it stands there as it is.
fn spot(
    source: &SourceText,
    whole: Place,
    text: &str,
    (line, column): (usize, usize),
) -> Option<Place> {
    let offset = column.checked_sub(1)?;
    let of_text = text.lines().nth(line.checked_sub(1)?)?;
    if text.lines().count() == 1 {
        return Some(source.inside(whole, of_text, offset, 1));
    }
    let place = Place { line: whole.line + line - 1, column: whole.column + offset, width: 1 };
    let in_file: String = source.line(place.line).chars().skip(whole.column).collect();
    (in_file.trim_end() == of_text.trim_end()).then_some(place)
}

/// Asks the transform about each path alone, so that the error points at the right one.
fn check_paths(section: &Section, problems: &mut Problems<'_>) {
    if section.table.path.ends_with("time") {
        return; // a time may stand in an array
    }
    let mut check = |checked: &Checked| {
        let Value::Path(path) = &checked.value else { return };
        let probe = TransformConfig::Drop { fields: vec![path.clone()] };
        if let Some(mistake) = mistake(&probe) {
            problems.add(checked.place, format!("`{path}` names no field")).help(mistake);
        }
    };
    for entry in &section.entries {
        check(&entry.checked);
        if let Value::List(items) = &entry.checked.value {
            items.iter().for_each(&mut check);
        }
    }
}

fn rename(section: &Section, problems: &mut Problems<'_>) -> Option<TransformConfig> {
    let from = section.path("from")?.clone();
    let to = section.text("to")?.to_owned();
    if matches!(from.steps().last(), Some(Step::Field(name)) if **name == *to) {
        problems
            .add(section.place_of("to"), format!("`{to}` is its name already"))
            .help("take the step out, or give a new name");
        return None;
    }
    Some(TransformConfig::Rename { from, to })
}

fn split(section: &Section, problems: &mut Problems<'_>) -> Option<TransformConfig> {
    let mut into: Vec<String> = Vec::new();
    for item in section.list("into")? {
        let Value::Text(name) = &item.value else { return None };
        if into.contains(name) {
            problems
                .add(item.place, format!("`{name}` is in `into` twice"))
                .help("each part needs a name of its own");
        }
        into.push(name.clone());
    }
    let field = section.path("field")?.clone();
    Some(TransformConfig::Split { field, at: section.text("at")?.to_owned(), into })
}

fn time(section: &Section, problems: &mut Problems<'_>) -> Option<TransformConfig> {
    let from = section.word("from")?;
    let to = section.word("to")?;
    if from == to {
        problems
            .add(section.place_of("from"), format!("this time is turned from `{from}` to `{to}`"))
            .help("`from` says how it is written, `to` how it shall be written (default rfc3339)");
        return None;
    }
    Some(TransformConfig::Time {
        field: section.path("field")?.clone(),
        from: time_format(from),
        to: time_format(to),
    })
}

fn drop(section: &Section, problems: &mut Problems<'_>) -> Option<TransformConfig> {
    match (section.entry("field"), section.entry("fields")) {
        (Some(_), None) => {
            let field = section.path("field")?.clone();
            Some(TransformConfig::Drop { fields: vec![field] })
        }
        (None, Some(_)) => Some(TransformConfig::Drop { fields: section.paths("fields")? }),
        (Some(_), Some(fields)) => {
            let place = fields.name.unwrap_or(section.place);
            problems
                .add(place, "`drop` has both `field` and `fields`")
                .help("put all of them into `fields`");
            None
        }
        (None, None) => None,
    }
}
