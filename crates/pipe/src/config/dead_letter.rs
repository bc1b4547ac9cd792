//! Builds `dead_letter`, of the pipe and of a sink.

use super::broker_name;
use super::delivery::{AfterReplay, DeadLetterConfig};
use super::place::Place;
use super::problem::Problems;
use super::section::Section;

/// A `dead_letter`, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// What it says.
    pub(crate) config: DeadLetterConfig,
    /// Where its folder is named, or its map.
    pub(crate) place: Place,
}

/// The pipe's.
pub(crate) fn of_pipe(pipe: &Section, problems: &mut Problems<'_>) -> Option<Placed> {
    let section = pipe.section("dead_letter")?;
    let config = over(DeadLetterConfig::default(), pipe, section, problems)?;
    Some(Placed { config, place: section.place_of("store") })
}

/// A sink's: what isn't written is the pipe's. `Some(None)`: it has none of its own.
#[allow(clippy::option_option)] // the outer one: whether it is right
pub(crate) fn of_sink(
    pipe: &Section,
    sink: &Section,
    pipes: &DeadLetterConfig,
    problems: &mut Problems<'_>,
) -> Option<Option<Placed>> {
    if sink.entry("dead_letter").is_none() {
        return Some(None);
    }
    let section = sink.section("dead_letter")?;
    let config = over(pipes.clone(), pipe, section, problems)?;
    Some(Some(Placed { config, place: section.place_of("store") }))
}

fn over(
    mut config: DeadLetterConfig,
    pipe: &Section,
    section: &Section,
    problems: &mut Problems<'_>,
) -> Option<DeadLetterConfig> {
    if section.is_written("queue") {
        let queue = broker_name::queue(section, problems)?;
        refuse_loop(pipe, section, &queue, problems)?;
        config.queue = Some(queue);
    }
    if section.is_written("store") {
        config.store = Some(problems.source.base_dir.join(section.text("store")?));
    }
    if section.entry("store_bytes_max").is_some() {
        config.store_bytes_max = section.count("store_bytes_max")?;
    }
    if section.entry("after_replay").is_some() {
        config.after_replay = match section.word("after_replay")? {
            "remove" => AfterReplay::Remove,
            _ => AfterReplay::Mark,
        };
    }
    if section.entry("replays_max").is_some() {
        config.replays_max = section.count("replays_max")?;
    }
    Some(config)
}

/// A letter that comes back to the pipe that it comes from would die for ever.
fn refuse_loop(
    pipe: &Section,
    section: &Section,
    queue: &str,
    problems: &mut Problems<'_>,
) -> Option<()> {
    let source = pipe.section("source").and_then(|source| source.section_if("sqs"));
    let Some(source) = source else { return Some(()) };
    if source.is_written("endpoint") || source.text("queue") != Some(queue) {
        return Some(());
    }
    let message = format!("this pipe reads `{queue}`: its dead letters would come back to it");
    problems
        .add(section.place_of("queue"), message)
        .help(format!("name another queue, like `{queue}-dead`; it is made"));
    None
}
