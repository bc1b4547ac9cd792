//! Builds `enrich`.

use std::path::Path;

use event::path::Step;

use super::call;
use super::delivery::{EnrichConfig, EnrichFrom, EnrichMissing};
use super::problem::Problems;
use super::section::{Section, Value};

/// Builds the enrichments. `None`: one of them is wrong.
pub(crate) fn build(pipe: &Section, problems: &mut Problems<'_>) -> Option<Vec<EnrichConfig>> {
    if pipe.entry("enrich").is_none() {
        return Some(Vec::new());
    }
    // Every step is built before one that is wrong ends it: all errors are wanted.
    let steps: Vec<Option<EnrichConfig>> = pipe
        .list("enrich")?
        .iter()
        .map(|item| match &item.value {
            Value::Section(step) => one(step, problems),
            _ => None,
        })
        .collect();
    steps.into_iter().collect()
}

fn one(step: &Section, problems: &mut Problems<'_>) -> Option<EnrichConfig> {
    let from = match (step.entry("lookup"), step.entry("http")) {
        (Some(_), None) => lookup(step.section("lookup")?, problems),
        (None, Some(_)) => http(step.section("http")?, problems),
        (Some(lookup), Some(http)) => {
            let place = lookup.name.max(http.name).unwrap_or(step.place);
            problems
                .add(place, "an entry of `enrich` has `lookup` or `http`, not both")
                .help("put `- ` before the second, with an `into` of its own");
            return None;
        }
        (None, None) => return None,
    };
    let into = step.path("into")?.clone();
    if !matches!(into.steps().last(), Some(Step::Field(_))) {
        problems
            .add(step.place_of("into"), format!("`{into}` names no field"))
            .help("this path must end in the name of a field, like `$.a.b`");
        return None;
    }
    let missing = match step.word("missing")? {
        "reject" => EnrichMissing::Reject,
        _ => EnrichMissing::Pass,
    };
    Some(EnrichConfig { from: from?, into, missing })
}

fn lookup(section: &Section, problems: &mut Problems<'_>) -> Option<EnrichFrom> {
    let written = section.text("file")?;
    let ending = Path::new(written).extension().and_then(|ending| ending.to_str()).unwrap_or("");
    if !["csv", "ndjson", "jsonl"].contains(&ending) {
        problems
            .add(section.place_of("file"), "a table is a `.csv` or `.ndjson` file")
            .help("its ending says how it is read: `users.csv` (with a header), `users.ndjson`");
        return None;
    }
    Some(EnrichFrom::Lookup {
        file: problems.source.base_dir.join(written),
        key: section.path("key")?.clone(),
        on: section.text("on")?.to_owned(),
        rows_max: section.count("rows_max")?,
    })
}

fn http(section: &Section, problems: &mut Problems<'_>) -> Option<EnrichFrom> {
    let http = call::enrich(section, problems);
    let cache = section.section("cache")?;
    Some(EnrichFrom::Http {
        http: Box::new(http?),
        key: section.path("key")?.clone(),
        cache_entries_max: cache.count("entries_max")?,
        cache_age_max: cache.duration("age_max")?,
    })
}
