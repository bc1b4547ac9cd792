//! The onceflow program: the command line, and the wiring of what the crates below it do.
//!
//! It is for turning what was typed into calls, and what came of them into text and an exit code.
//! It deliberately decides nothing about events.
//!
//! Start reading at [`main`]: [`args`] is what was typed, [`command`] the same checked, and
//! [`commands`] has a file for each.

mod archive;
mod args;
mod command;
mod commands;
mod compactor;
mod dead;
mod dedup;
mod demo;
mod exit;
mod generate;
mod logs;
mod note;
mod pages;
mod print;
mod progress;
mod prove;
mod replay;
mod running;
mod signals;
mod summary;
mod tap;
mod test_clock;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::RawArgs;
use crate::command::Command;
use crate::exit::{Exit, Failure};
use crate::progress::MovingLine;
use crate::test_clock::OffsetClock;

fn main() -> ExitCode {
    match start(RawArgs::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // A config's errors bring their own headline.
            let says_so = failure.message.starts_with("error");
            eprintln!("{}{}", if says_so { "" } else { "error: " }, failure.message);
            failure.exit.into()
        }
    }
}

fn start(raw: RawArgs) -> Result<Exit, Failure> {
    raise_descriptors();
    let clock = OffsetClock::new(raw.global.test_clock.as_deref())?;
    let moving = MovingLine::default();
    let noted =
        logs::start(raw.global.verbose, raw.global.log_format, clock.clone(), moving.clone());
    match Command::new(raw)? {
        Command::Run(asked) => commands::run::run(asked, &clock, &noted, moving),
        Command::Serve(asked) => commands::serve::serve(*asked, &clock, &noted, moving),
        Command::Compact { pipes, data_dir, json } => {
            commands::compact::compact(&pipes, &data_dir, json, &clock, moving)
        }
        Command::Check { pipes } => commands::check::check(&pipes),
        Command::Schema => commands::schema::schema(),
        Command::Generate(asked) => commands::generate::generate(&asked, &moving),
        Command::Test { pipes, json } => commands::test::test(&pipes, json),
        Command::Report { data_dir, json } => commands::report::report(&data_dir, json, &clock),
        Command::Tap { data_dir, filter, limit } => tap::tap(&data_dir, &filter, limit),
        Command::Demo { dir, events } => demo::demo(dir, events, &clock),
        Command::Prove(asked) => commands::prove::prove(&asked, &moving),
        Command::ProveChild { life } => prove::child::live(&life, &clock),
        Command::Archive(asked) => commands::archive::archive(&asked, &clock, moving),
        Command::Dead(raw) => commands::dead::dead(*raw, &clock, moving),
        Command::Dedup(raw) => dedup::run(*raw, &clock, &moving),
        Command::ConfigDocs => commands::schema::docs(),
    }
}

/// Files, segments and connections need descriptors; the soft limit is often 1,024. What the system
/// allows is asked for; P6's own limits stay far below it.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Without it only large set-ups fail, and then by name.
    let _ = setrlimit(Resource::Nofile, raised);
}
