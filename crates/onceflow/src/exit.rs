//! Exit codes: one place says which failure ends with which. docs/cli.md lists them.

use std::fmt;
use std::process::ExitCode;

use broker::BrokerError;
use dedup::ledger::LedgerError;
use gateway::GatewayError;
use pipe::RunError;
use pipe::engine::PipeError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Failed for a reason that none of the others names.
    Failed = 1,
    /// The command line or a config is wrong; nothing was started.
    Usage = 2,
    /// The data folder can't be used: locked, of another version, damaged, not ours to read.
    DataDir = 3,
    /// A source or sink can't go on; what was committed stays.
    Connector = 4,
    /// Storage failed while running: nothing more was acknowledged (P7).
    Storage = 5,
    /// What was received isn't what was accounted for (P4).
    Imbalance = 6,
}

impl Exit {
    /// The exit code of that number, as another process of ours sent it.
    pub(crate) fn of(code: u8) -> Exit {
        let all =
            [Exit::Ok, Exit::Usage, Exit::DataDir, Exit::Connector, Exit::Storage, Exit::Imbalance];
        all.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Exit::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A failure with the exit code that belongs to it, and what a person is told.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How to end.
    pub(crate) exit: Exit,
    /// What to say; whole sentences without `error:`.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure { exit, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure::new(Exit::Usage, message)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        let exit = match &error {
            RunError::Ledger(error) => ledger(error),
            RunError::Pipe { error, .. } => pipe(error),
            RunError::Broker(error) => broker(error),
        };
        Failure::new(exit, error)
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Failure {
        let exit = match &error {
            GatewayError::NotLoopback { .. } | GatewayError::Option { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, error)
    }
}

/// The exit code of a pipe that stopped.
pub(crate) fn pipe(error: &PipeError) -> Exit {
    match error {
        PipeError::Source(_) | PipeError::Sink { .. } => Exit::Connector,
        PipeError::Ledger(error) => ledger(error),
        _ => Exit::Failed,
    }
}

/// The exit code of a ledger that doesn't open, or stopped.
pub(crate) fn ledger(error: &LedgerError) -> Exit {
    match error {
        LedgerError::Stopped { .. } | LedgerError::DiskFull(_) => Exit::Storage,
        LedgerError::Refused { .. } | LedgerError::Closed => Exit::Failed,
        LedgerError::Declaration { .. } => Exit::Usage,
        _ => Exit::DataDir,
    }
}

/// The exit code of a broker that doesn't open, or stopped.
pub(crate) fn broker(error: &BrokerError) -> Exit {
    match error {
        BrokerError::Stopped { .. } | BrokerError::NoSpace { .. } => Exit::Storage,
        BrokerError::Unreadable { .. } => Exit::DataDir,
        _ => Exit::Failed,
    }
}
