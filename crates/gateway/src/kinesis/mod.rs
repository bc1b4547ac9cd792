//! Kinesis over its JSON 1.1 protocol. One file per action.
use bytes::Bytes;
use hyper::StatusCode;

use crate::http::Answer;
use crate::state::State;
pub(crate) struct Rates;
impl Rates {
    pub(crate) fn new(_: Option<crate::ShardLimits>) -> Self {
        Self
    }
}
pub(crate) fn cbor() -> Answer {
    Answer::text(StatusCode::BAD_REQUEST, "cbor")
}
pub(crate) async fn answer(_state: &State, _action: &str, _body: &Bytes) -> Answer {
    cbor()
}
