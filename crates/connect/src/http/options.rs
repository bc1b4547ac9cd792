//! How a receiver is called: what the config says of it, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use event::path::FieldPath;

/// How a receiver is called.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// `http://` or `https://`, with no user or password in it.
    pub url: String,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Sent with every call.
    pub headers: Vec<(String, String)>,
    /// Who calls.
    pub auth: HttpAuth,
    /// Calls in a second at most; `None`: no limit.
    pub calls_per_second_max: Option<u64>,
    /// Calls at the same time; 1 to 256.
    pub connections_max: u64,
    /// How long a call may take, from the look-up of the name to the last byte of the answer.
    pub timeout: Duration,
    /// Events in one call. With 1 the body is the event itself.
    pub events_max: u64,
    /// Bytes in one call.
    pub bytes_max: u64,
    /// How several events make one body.
    pub body: HttpBody,
    /// Where the answer to a call with several events lists those that failed; `None`: the status
    /// holds for all.
    pub failures: Option<FieldPath>,
    /// The header that carries the event's key, in hexadecimal; `None`: none is sent.
    pub idempotency_header: Option<String>,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
}

impl HttpOptions {
    /// Everything at its default.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            method: "POST".into(),
            headers: Vec::new(),
            auth: HttpAuth::None,
            calls_per_second_max: None,
            connections_max: 16,
            timeout: Duration::from_secs(10),
            events_max: 1,
            bytes_max: 1 << 20,
            body: HttpBody::Array,
            failures: None,
            idempotency_header: Some("Idempotency-Key".into()),
            ca_file: None,
        }
    }
}

impl fmt::Debug for HttpOptions {
    /// Without what may hold secrets: paths and queries of URLs, values of headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpOptions")
            .field("url", &super::origin(&self.url))
            .field("method", &self.method)
            .field("headers", &headers)
            .field("auth", &self.auth)
            .field("calls_per_second_max", &self.calls_per_second_max)
            .field("connections_max", &self.connections_max)
            .field("timeout", &self.timeout)
            .field("events_max", &self.events_max)
            .field("bytes_max", &self.bytes_max)
            .field("body", &self.body)
            .field("failures", &self.failures)
            .field("idempotency_header", &self.idempotency_header)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

/// How several events make one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpBody {
    /// A JSON array.
    Array,
    /// One event a line.
    Ndjson,
}

/// Who calls. Secrets are never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum HttpAuth {
    /// Nobody in particular.
    None,
    /// User and password.
    Basic {
        /// Who.
        user: String,
        /// Their secret.
        password: String,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: String,
    },
    /// A header of any name.
    ApiKey {
        /// The header, e.g. `x-api-key`.
        header: String,
        /// Its value.
        value: String,
    },
    /// OAuth 2 client credentials: a token is asked for, kept until shortly before it expires, and
    /// asked for again after a 401.
    OAuth {
        /// Where it is asked for.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// Its secret.
        client_secret: String,
        /// Scopes, separated by spaces.
        scope: Option<String>,
    },
    /// A signature of time and body: `<header>: t=<unix seconds>,v1=<hex HMAC-SHA256 of
    /// "<t>.<body>">`.
    Hmac {
        /// The header.
        header: String,
        /// The secret, as bytes of its text.
        secret: String,
    },
}

impl fmt::Debug for HttpAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Bearer { .. } => "Bearer",
            Self::ApiKey { .. } => "ApiKey",
            Self::OAuth { .. } => "OAuth",
            Self::Hmac { .. } => "Hmac",
        })
    }
}
