//! `onceflow prove`: runs a user's pipes in child processes on a copy of their state, kills them,
//! lets their disk fail, and shows that every acknowledged event came out, once, and counted.
//!
//! A *run* begins with a copy of the state and ends with a check; between the two it has *lives*: a
//! child process with the pipes in it, which gets some events and ends, usually badly. `campaign`
//! says which life goes wrong how, `life` starts and feeds one, [`child`] is what runs in it.
//! `redirect` turns what the configs name into places below a scratch folder. `model` says what must
//! come out, worked out event by event without the ledger; `outputs` reads what did, `check`
//! compares the two, and `table` shows it.

mod campaign;
mod chance;
mod check;
pub(crate) mod child;
mod copy;
mod dead;
mod feeder;
mod keys;
mod life;
mod made;
mod model;
mod options;
mod outputs;
mod place;
mod plant;
mod receiver;
mod redirect;
mod run;
mod schedule;
mod strace;
mod supply;
mod table;

pub(crate) use campaign::prove;
pub(crate) use options::Asked;
