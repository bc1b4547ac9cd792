//! Which letters are meant.

use super::super::id::show_id;
use super::super::letter::Letter;
use super::super::name::{LetterName, part, partition, zoned};

/// Which letters are meant; what isn't set takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Of these pipes; none: of all.
    pub consumers: Vec<String>,
    /// Died then or later; ms since the Unix epoch.
    pub from_ms: Option<i64>,
    /// Died before; ms since the Unix epoch.
    pub to_ms: Option<i64>,
    /// With this partition key.
    pub partition: Option<Vec<u8>>,
    /// Of this shard: its whole name, or the part before `@` and the number that tells it from
    /// others of the same name.
    pub shard: Option<String>,
    /// Of this error class.
    pub class: Option<String>,
    /// Whose id begins with one of these; none: all.
    pub ids: Vec<String>,
    /// Open ones, or those that were replayed.
    pub standing: Standing,
}

/// Whether a letter was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It wasn't, or died again in a replay.
    #[default]
    Open,
    /// It was, and is marked as processed.
    Done,
    /// Either.
    Any,
}

/// A filter as the walk uses it.
pub(super) struct Compiled {
    pub(super) filter: LetterFilter,
    consumers: Vec<String>,
    partition: Option<String>,
    /// `2025/11/03/10` of both ends.
    from: Option<String>,
    to: Option<String>,
}

impl Compiled {
    pub(super) fn new(filter: LetterFilter) -> Self {
        let hour = |ms: i64| zoned(ms.max(0)).strftime("%Y/%m/%d/%H").to_string();
        Self {
            consumers: filter.consumers.iter().map(|name| part(name.as_bytes())).collect(),
            partition: filter.partition.as_deref().map(|key| partition(Some(key))),
            from: filter.from_ms.map(hour),
            to: filter.to_ms.map(hour),
            filter,
        }
    }

    pub(super) fn takes_consumer(&self, folder: &str) -> bool {
        self.consumers.is_empty() || self.consumers.iter().any(|name| name == folder)
    }

    /// Whether letters may lie below `time`, the first levels of `2025/11/03/10`.
    pub(super) fn takes_time(&self, time: &str) -> bool {
        let cut = |end: &Option<String>| {
            end.as_ref().map(|end| end.get(..time.len()).unwrap_or(end).to_owned())
        };
        cut(&self.from).is_none_or(|from| *time >= *from)
            && cut(&self.to).is_none_or(|to| *time <= *to)
    }

    pub(super) fn takes_partition(&self, folder: &str) -> bool {
        self.partition.as_ref().is_none_or(|partition| partition == folder)
    }

    pub(super) fn takes_name(&self, name: &LetterName) -> bool {
        let LetterFilter { from_ms, to_ms, ids, standing, .. } = &self.filter;
        let id = || show_id(name.id);
        let stands_so = match standing {
            Standing::Open => !name.done,
            Standing::Done => name.done,
            Standing::Any => true,
        };
        stands_so
            && from_ms.is_none_or(|from| name.died_ms >= from)
            && to_ms.is_none_or(|to| name.died_ms < to)
            && (ids.is_empty() || ids.iter().any(|prefix| id().starts_with(prefix.as_str())))
    }

    pub(super) fn takes(&self, letter: &Letter) -> bool {
        let LetterFilter { partition, shard, class, .. } = &self.filter;
        let of_shard = |shard: &String| {
            letter.shard == *shard
                || letter.shard.rsplit_once('@').is_some_and(|(name, _)| name == shard)
        };
        shard.as_ref().is_none_or(of_shard)
            && class.as_ref().is_none_or(|class| letter.class == *class)
            // A folder's name may stand for a key that was cut.
            && partition.as_ref().is_none_or(|key| {
                letter.partition_key.as_deref().unwrap_or_default() == key.as_slice()
            })
    }
}
