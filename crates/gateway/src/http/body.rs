//! Reading a request's body, within its limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::answer::Held;
use crate::state::State;

/// Bytes that are reserved at once; a body that says to be longer must first come.
const RESERVED_BYTES_MAX: usize = 1 << 20;
/// What is read away of a body that is refused, so that the client gets to read the answer.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(2);

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum BodyProblem {
    /// More than `request_bytes_max`.
    TooLarge,
    /// Longer than `body_read_timeout`.
    TooSlow,
    /// More than `in_flight_bytes_max` in all.
    NoRoom,
    /// Broken chunks, or the client went away.
    Broken,
}

/// The whole body, and its part of `in_flight_bytes_max`.
pub(super) async fn read(state: &State, mut body: Incoming) -> Result<(Bytes, Held), BodyProblem> {
    let read =
        tokio::time::timeout(state.options.http.body_read_timeout, collect(state, &mut body));
    let result = read.await.unwrap_or(Err(BodyProblem::TooSlow));
    if matches!(result, Err(BodyProblem::TooLarge)) {
        tokio::spawn(tokio::time::timeout(DISCARD_FOR, discard(body)));
    }
    result
}

async fn collect(state: &State, body: &mut Incoming) -> Result<(Bytes, Held), BodyProblem> {
    let bytes_max = state.options.http.request_bytes_max;
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > bytes_max {
        return Err(BodyProblem::TooLarge);
    }
    let mut held = Held::default();
    let Some(first) = next(state, body, &mut held).await? else { return Ok((Bytes::new(), held)) };
    if body.is_end_stream() {
        return if first.len() > bytes_max {
            Err(BodyProblem::TooLarge)
        } else {
            Ok((first, held))
        };
    }
    let mut whole = BytesMut::with_capacity(declared.min(RESERVED_BYTES_MAX).max(first.len()));
    whole.extend_from_slice(&first);
    drop(first);
    loop {
        if whole.len() > bytes_max {
            return Err(BodyProblem::TooLarge);
        }
        match next(state, body, &mut held).await? {
            Some(more) => whole.extend_from_slice(&more),
            None => return Ok((whole.freeze(), held)),
        }
    }
}

/// The next bytes of the body.
async fn next(
    state: &State,
    body: &mut Incoming,
    held: &mut Held,
) -> Result<Option<Bytes>, BodyProblem> {
    loop {
        let Some(frame) = body.frame().await else { return Ok(None) };
        let Ok(bytes) = frame.map_err(|_| BodyProblem::Broken)?.into_data() else { continue };
        if !held.take(&state.bytes, bytes.len()) {
            return Err(BodyProblem::NoRoom);
        }
        return Ok(Some(bytes));
    }
}

async fn discard(mut body: Incoming) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > DISCARDED_BYTES_MAX {
            return;
        }
    }
}
