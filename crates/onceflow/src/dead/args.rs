//! `dead …` as it was typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::filter::{Filter, time};
use crate::args::RawDataDir;
use crate::exit::Failure;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum RawDead {
    /// Lists letters, oldest hour first
    List {
        #[command(flatten)]
        which: RawWhich,
        /// Ends after so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Shows one letter: why the event died, and the event
    Show {
        /// A letter's id, the first digits of it, or its file
        #[arg(value_name = "LETTER")]
        letter: String,
        /// Files with pipes: their dead-letter stores are looked into
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        #[command(flatten)]
        data_dir: RawDataDir,
        /// The letter's file as it is
        #[arg(long, conflicts_with = "raw")]
        json: bool,
        /// Only the event's bytes, as they were received
        #[arg(long)]
        raw: bool,
    },
    /// Sends events through their pipe again, by way of dedup
    Replay {
        #[command(flatten)]
        which: RawWhich,
        /// The pipe, where the files hold several
        #[arg(long, value_name = "NAME")]
        pipe: Option<String>,
        /// Only to this sink
        #[arg(long, value_name = "NAME")]
        to_sink: Option<String>,
        /// So many events a second at most
        #[arg(long, value_name = "N")]
        rate: Option<u64>,
        /// Also letters whose file was edited since it was written
        #[arg(long)]
        edited: bool,
        /// Says what would be done, and does nothing
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Removes letters for good; their events are lost
    Purge {
        #[command(flatten)]
        which: RawWhich,
        /// All letters, where nothing else says which
        #[arg(long)]
        all: bool,
        /// Says how many, and removes none
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Makes letters out of a queue that Lambda or EventBridge Pipes filled with the places of
    /// Kinesis records
    Hydrate {
        /// Files with pipes
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        #[command(flatten)]
        data_dir: RawDataDir,
        /// The pipe, where the files hold several
        #[arg(long, value_name = "NAME")]
        pipe: Option<String>,
        /// The queue
        #[arg(long, value_name = "NAME")]
        queue: String,
        /// Who has queue and stream: an address, or `aws`; by default the broker of the data folder
        #[arg(long, value_name = "URL|aws")]
        endpoint: Option<String>,
        /// Deletes messages although some of their records are gone for good
        #[arg(long)]
        drop_aged_out: bool,
        /// Fetches, and stores and deletes nothing
        #[arg(long)]
        dry_run: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// Which letters.
#[derive(Args, Debug)]
pub(crate) struct RawWhich {
    /// Files with pipes: their dead-letter stores are looked into
    #[arg(required = true, value_name = "PIPE.yaml")]
    pub(crate) pipes: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// Only of these pipes
    #[arg(long, value_name = "PIPE")]
    pub(crate) consumer: Vec<String>,
    /// Died then or later: 2025-11-03T10:05:00Z, 2025-11-03, or 2h (ago)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Died before
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// With this partition key; an empty one stands for none
    #[arg(long, value_name = "KEY")]
    pub(crate) partition: Option<String>,
    /// Of this shard
    #[arg(long, value_name = "SHARD")]
    pub(crate) shard: Option<String>,
    /// Of this error class
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
    /// Whose id begins so
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<String>,
    /// Instead of open ones those that were replayed and are marked as processed
    #[arg(long)]
    pub(crate) processed: bool,
}

impl RawWhich {
    /// The filter, checked.
    pub(crate) fn filter(&self, now_ms: i64) -> Result<Filter, Failure> {
        let time = |option: &str, text: &Option<String>| {
            text.as_ref().map(|text| time(option, text, now_ms)).transpose()
        };
        let (from_ms, to_ms) = (time("--from", &self.from)?, time("--to", &self.to)?);
        if from_ms.zip(to_ms).is_some_and(|(from, to)| from >= to) {
            return Err(Failure::usage("--from is not before --to: no letter could match"));
        }
        let ids: Vec<String> = self.id.iter().map(|id| id.to_ascii_lowercase()).collect();
        let is_id = |id: &str| {
            (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if let Some(bad) = ids.iter().find(|id| !is_id(id)) {
            return Err(Failure::usage(format!(
                "--id: `{bad}` is no letter's id: it is up to 32 hexadecimal digits"
            )));
        }
        Ok(Filter {
            consumers: self.consumer.clone(),
            from_ms,
            to_ms,
            partition: self.partition.clone(),
            shard: self.shard.clone(),
            class: self.class.clone(),
            ids,
            processed: self.processed,
        })
    }
}
