//! Builds `route` and `order`.

use super::delivery::{OrderConfig, RouteConfig};
use super::problem::Problems;
use super::section::Section;
use super::sink::PlacedSink;
use super::suggest;

/// Builds `route`.
pub(crate) fn build(
    pipe: &Section,
    sinks: &[PlacedSink],
    sinks_complete: bool,
    problems: &mut Problems<'_>,
) -> Option<RouteConfig> {
    let section = pipe.section("route")?;
    let default = match section.entry("default") {
        Some(_) => Some(section.text("default")?.to_owned()),
        None => None,
    };
    if let Some(name) = &default
        && sinks_complete
    {
        check_default(section, name, sinks, problems)?;
    }
    let first = section.word("mode")? == "first";
    if sinks_complete {
        warn(section, first, default.as_deref(), sinks, problems);
    }
    Some(RouteConfig { first, default })
}

fn check_default(
    section: &Section,
    name: &str,
    sinks: &[PlacedSink],
    problems: &mut Problems<'_>,
) -> Option<()> {
    let place = section.place_of("default");
    let Some(sink) = sinks.iter().find(|sink| sink.config.name == name) else {
        let names: Vec<&str> = sinks.iter().map(|sink| sink.config.name.as_str()).collect();
        let error = problems.add(place, format!("no sink of this pipe is called `{name}`"));
        if let Some(nearest) = suggest::nearest(name, names.iter().copied()) {
            error.help(format!("did you mean `{nearest}`?"));
        }
        error.help(format!("its sinks: `{}`", names.join("`, `")));
        return None;
    };
    if sink.config.matches.is_some() {
        let message = format!("`{name}` is the default route, but has a `match`");
        problems.add(sink.match_place, message).help(
            "take the `match` out: the default route gets what no `match` takes, and nothing else",
        );
        return None;
    }
    Some(())
}

fn warn(
    section: &Section,
    first: bool,
    default: Option<&str>,
    sinks: &[PlacedSink],
    problems: &mut Problems<'_>,
) {
    let takes_all = |sink: &&PlacedSink| {
        sink.config.matches.is_none() && default != Some(sink.config.name.as_str())
    };
    if first
        && let Some(all) = sinks.iter().find(takes_all)
        && sinks.last().is_some_and(|last| last.config.name != all.config.name)
    {
        let name = &all.config.name;
        let message = format!("`{name}` takes every event, so no sink after it gets any");
        problems.warn(all.place, message, "give it a `match`, or put it last");
    }
    if default.is_some() && sinks.iter().all(|sink| sink.config.matches.is_none()) {
        let message = "no sink has a `match`, so the default route gets every event";
        let help = "give the other sinks a `match`, or take `default` out";
        problems.warn(section.place_of("default"), message, help);
    }
}

/// Builds `order` with `order_by`.
pub(crate) fn order(pipe: &Section, problems: &mut Problems<'_>) -> Option<OrderConfig> {
    let by = match pipe.entry("order_by") {
        Some(_) => Some(pipe.path("order_by")?.clone()),
        None => None,
    };
    let word = pipe.word("order")?;
    if by.is_some() && word == "none" && pipe.is_written("order") {
        problems
            .add(pipe.name_of("order_by"), "`order_by` names a key, but `order: none` wants none")
            .help("take one of them out; `order_by` alone is enough");
        return None;
    }
    if by.is_none() && word == "none" {
        return Some(OrderConfig::None);
    }
    let keyless = ["file", "sqs"]
        .into_iter()
        .find(|kind| pipe.section("source").is_some_and(|source| source.entry(kind).is_some()));
    if let (Some(kind), None) = (keyless, &by) {
        let whose = if kind == "file" { "lines of a file" } else { "messages of a standard queue" };
        problems
            .add(pipe.place_of("order"), format!("{whose} have no partition key"))
            .help("name a field in its place: `order_by: $.user_id`");
        return None;
    }
    Some(OrderConfig::PerPartitionKey { by })
}
