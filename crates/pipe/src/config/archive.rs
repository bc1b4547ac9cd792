//! Builds `archive`.

use super::delivery::ArchiveConfig;
use super::problem::Problems;
use super::section::Section;

/// Builds `archive`. `Some(None)`: there is none.
#[allow(clippy::option_option)] // the outer one: whether it is right
pub(crate) fn build(pipe: &Section, problems: &mut Problems<'_>) -> Option<Option<ArchiveConfig>> {
    if pipe.entry("archive").is_none() {
        return Some(None);
    }
    let section = pipe.section("archive")?;
    let path = match section.entry("path") {
        Some(_) => Some(problems.source.base_dir.join(section.text("path")?)),
        None => None,
    };
    let retention = match section.entry("retention") {
        Some(_) => Some(section.duration("retention")?),
        None => None,
    };
    let file_age_max = section.duration("file_age_max")?;
    if retention.is_some_and(|retention| retention < file_age_max) {
        problems.warn(
            section.place_of("retention"),
            "files are finished after a longer time than they are kept",
            "lower `file_age_max`: a file is removed whole, once its newest event is too old",
        );
    }
    Some(Some(ArchiveConfig {
        path,
        after_filter: section.word("events")? == "filtered",
        retention,
        file_bytes_max: section.count("file_bytes_max")?,
        file_age_max,
        level: u8::try_from(section.count("level")?).ok()?,
    }))
}
