//! `prove`: nothing lost, nothing twice, nothing miscounted, whatever fails when.

use crate::exit::{Exit, Failure};
use crate::print::out;
use crate::progress::MovingLine;
use crate::prove::{self, Asked};

pub(crate) fn prove(asked: &Asked, moving: &MovingLine) -> Result<Exit, Failure> {
    let proof = prove::prove(asked, moving)?;
    out(if asked.json { proof.json() } else { proof.text() })?;
    Ok(if proof.holds() { Exit::Ok } else { Exit::Failed })
}
