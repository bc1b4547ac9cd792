//! An answer on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that are given to the connection at one time, so that a large answer counts as held until
/// most of it is sent.
const FRAME_BYTES: usize = 256 << 10;

const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// A part of `in_flight_bytes_max` that a request holds until it is answered.
#[derive(Default)]
pub(crate) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Takes `bytes` more; false when the limit is reached.
    pub(crate) fn take(&mut self, from: &Arc<Semaphore>, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(from).try_acquire_many_owned(bytes) else { return false };
        match &mut self.0 {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        true
    }
}

/// An answer: status, headers, content.
pub(crate) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    query_error: Option<String>,
    close: bool,
    body: Bytes,
    held: Held,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Self {
        let body = Bytes::from(body);
        let held = Held::default();
        Self { status, content_type, query_error: None, close: false, body, held }
    }

    /// Plain text, for people.
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\n');
        Self::new(status, "text/plain; charset=utf-8", text.into_bytes())
    }

    /// With the header that services with a Query past give their error codes in.
    pub(crate) fn with_query_error(mut self, code: String) -> Self {
        self.query_error = Some(code);
        self
    }

    /// The connection is closed after it.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Holds `held` until it is sent.
    pub(crate) fn holding(mut self, held: Held) -> Self {
        self.held = held;
        self
    }

    /// As hyper wants it. HTTP/2 has no `connection` header.
    pub(crate) fn into_response(self, request_id: &str, h2: bool) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody { rest: self.body, _held: self.held });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, value);
        }
        if let Some(Ok(value)) = self.query_error.as_deref().map(HeaderValue::from_str) {
            headers.insert(QUERY_ERROR, value);
        }
        if self.close && !h2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The content of an answer.
pub(crate) struct AnswerBody {
    rest: Bytes,
    _held: Held,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.rest.len().min(FRAME_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
