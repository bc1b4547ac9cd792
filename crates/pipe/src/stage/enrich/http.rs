//! The service behind HTTP.

use std::sync::Arc;

use connect::http::{HttpBody, HttpClient, HttpError, HttpOptions, HttpRequest, NotAnswered};
use event::Clock;
use event::sink::Failure;
use event::source::Stop;

use super::call::Caller;

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
    pub(super) fn new(http: &HttpOptions, clock: Arc<dyn Clock>) -> Result<HttpCaller, HttpError> {
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

/// The answer is a list by itself, and a question may be asked twice.
fn options(http: &HttpOptions) -> HttpOptions {
    HttpOptions { body: HttpBody::Array, failures: None, idempotency_header: None, ..http.clone() }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use event::path::FieldPath;

    use super::super::{Enricher, Enrichers};
    use super::*;
    use crate::config::{EnrichConfig, EnrichFrom, EnrichMissing, HttpConfig};

    /// Takes one call and answers it; gives the request's first line, its headers and its body.
    fn answer_once(listener: TcpListener, status: &str, said: &str) -> (String, String) {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        let lower = head.to_ascii_lowercase();
        let len = lower.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; len.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let len = said.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{said}"
        );
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    fn enricher(listener: &TcpListener) -> Enricher {
        let address = listener.local_addr().unwrap();
        let mut http = HttpConfig::new(format!("http://{address}/prices?x=1"));
        http.auth = crate::config::HttpAuth::Bearer { token: "secret".into() };
        http.events_max = 10;
        let from = EnrichFrom::Http {
            http: Box::new(http),
            key: FieldPath::parse("$.sku").unwrap(),
            cache_entries_max: 10,
            cache_age_max: Duration::from_secs(60),
        };
        let into = FieldPath::parse("$.price").unwrap();
        let config = EnrichConfig { from, into, missing: EnrichMissing::Reject };
        let clock: Arc<dyn Clock> = Arc::new(event::clock::TestClock::new(0));
        Enricher::new(Enrichers::new(&[config], &clock).unwrap(), Stop::default())
    }

    #[test]
    fn a_batch_goes_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut enricher = enricher(&listener);
        let server =
            std::thread::spawn(move || answer_once(listener, "200 OK", r#"[{"eur":5},null]"#));
        enricher.collect(br#"{"sku":"a"}"#);
        enricher.collect(br#"{"sku":2}"#);
        enricher.fetch().unwrap();
        let (head, body) = server.join().unwrap();
        assert_eq!(body, r#"["a",2]"#);
        assert!(head.starts_with("POST /prices?x=1 HTTP/1.1\r\n"), "{head}");
        assert!(
            head.to_ascii_lowercase().contains("\r\nauthorization: bearer secret\r\n"),
            "{head}"
        );
        let mut out = Vec::new();
        enricher.apply(br#"{"sku":"a"}"#, &mut out).unwrap();
        assert_eq!(out, br#"{"sku":"a","price":{"eur":5}}"#);
        assert!(enricher.apply(br#"{"sku":2}"#, &mut out).is_err());
    }

    #[test]
    fn a_no_for_good_is_shown_without_the_path() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut enricher = enricher(&listener);
        let server = std::thread::spawn(move || answer_once(listener, "404 Not Found", "gone"));
        let refused = enricher.apply(br#"{"sku":"a"}"#, &mut Vec::new()).unwrap_err().to_string();
        server.join().unwrap();
        assert!(refused.contains("http_404") && refused.contains("gone"), "{refused}");
        assert!(!refused.contains("prices"), "{refused}");
    }
}
