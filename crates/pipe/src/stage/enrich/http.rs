//! The service behind HTTP.

use std::sync::Arc;

use connect::http::{HttpClient, HttpError, HttpRequest, NotAnswered};
use connect::{HttpAuth, HttpBody, HttpOptions};
use event::Clock;
use event::sink::Failure;
use event::source::Stop;

use super::call::Caller;
use crate::config;

/// An answer may be this many times as long as the question.
const ANSWER_FACTOR_MAX: usize = 16;
/// An answer of this many bytes is taken, however short the question.
const ANSWER_BYTES_MIN: usize = 1 << 20;

/// Calls over HTTP.
pub(super) struct HttpCaller {
    client: HttpClient,
    answer_bytes_max: usize,
}

impl HttpCaller {
    pub(super) fn new(
        http: &config::HttpConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<HttpCaller, HttpError> {
        let client = HttpClient::new(&options(http), clock)?;
        let bytes_max = usize::try_from(http.bytes_max).unwrap_or(usize::MAX);
        let answer_bytes_max = bytes_max.saturating_mul(ANSWER_FACTOR_MAX).max(ANSWER_BYTES_MIN);
        Ok(HttpCaller { client, answer_bytes_max })
    }
}

impl Caller for HttpCaller {
    fn call(&self, body: &[u8], stop: &Stop) -> Result<Option<Vec<u8>>, Failure> {
        let request = HttpRequest {
            // To ask changes nothing.
            repeatable: true,
            answer_bytes_max: self.answer_bytes_max,
            stop: Some(stop),
            ..HttpRequest::json(body)
        };
        match self.client.call(&request) {
            Ok(answer) => answer.body.map(Some),
            Err(NotAnswered::Failed(failure)) => Err(failure),
            Err(NotAnswered::NotTried) => Ok(None),
        }
    }
}

fn options(http: &config::HttpConfig) -> HttpOptions {
    HttpOptions {
        url: http.url.clone(),
        method: http.method.clone(),
        headers: http.headers.clone(),
        auth: auth(&http.auth),
        calls_per_second_max: http.calls_per_second_max,
        connections_max: http.connections_max,
        timeout: http.timeout,
        events_max: http.events_max,
        bytes_max: http.bytes_max,
        body: HttpBody::Array,
        failures: None,
        idempotency_header: None,
        ca_file: http.ca_file.clone(),
    }
}

fn auth(auth: &config::HttpAuth) -> HttpAuth {
    match auth.clone() {
        config::HttpAuth::None => HttpAuth::None,
        config::HttpAuth::Basic { user, password } => HttpAuth::Basic { user, password },
        config::HttpAuth::Bearer { token } => HttpAuth::Bearer { token },
        config::HttpAuth::ApiKey { header, value } => HttpAuth::ApiKey { header, value },
        config::HttpAuth::OAuth { token_url, client_id, client_secret, scope } => {
            HttpAuth::OAuth { token_url, client_id, client_secret, scope }
        }
        config::HttpAuth::Hmac { header, secret } => HttpAuth::Hmac { header, secret },
    }
}
