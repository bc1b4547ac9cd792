//! Names of queues and streams.

use super::problem::Problems;
use super::section::Section;

/// The `queue` of a section: letters, digits, `_` and `-`.
pub(crate) fn queue(section: &Section, problems: &mut Problems<'_>) -> Option<String> {
    let name = section.text("queue")?;
    if name.ends_with(".fifo") {
        problems
            .add(section.place_of("queue"), "FIFO queues aren't built yet")
            .help("name a standard queue, without `.fifo`; `dedup` lets each event through once");
        return None;
    }
    checked(section, "queue", name, "-_", problems)
}

/// The `stream` of a section: letters, digits, `_`, `-` and `.`.
pub(crate) fn stream(section: &Section, problems: &mut Problems<'_>) -> Option<String> {
    checked(section, "stream", section.text("stream")?, "-_.", problems)
}

fn checked(
    section: &Section,
    key: &str,
    name: &str,
    marks: &str,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    if name.chars().all(fits) {
        return Some(name.to_owned());
    }
    let shown: Vec<String> = marks.chars().map(|mark| format!("`{mark}`")).collect();
    problems
        .add(section.place_of(key), format!("`{name}` can't be the name of a {key}"))
        .help(format!("it has letters, digits and {} only", shown.join(", ")));
    None
}
