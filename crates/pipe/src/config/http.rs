//! Calls over HTTP: of the `http` sink and of `enrich`.

use std::path::PathBuf;
use std::time::Duration;

/// How a receiver is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// `http://` or `https://`.
    pub url: String,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Sent with every call; names are valid and not one that the program sets itself.
    pub headers: Vec<(String, String)>,
    /// Who calls.
    pub auth: HttpAuth,
    /// Calls in a second at most; `None`: no limit. 1 to 1,000,000.
    pub calls_per_second_max: Option<u64>,
    /// Calls at the same time; 1 to 256.
    pub connections_max: u64,
    /// How long a call may take; 10 ms to 5 min.
    pub timeout: Duration,
    /// Events in one call; 1 to 10,000. With 1 the body is the event itself.
    pub events_max: u64,
    /// Bytes in one call; 1 KiB to 64 MiB.
    pub bytes_max: u64,
    /// How several events make one body.
    pub body: HttpBody,
    /// Where the answer to a call with several events lists those that failed, as
    /// `$.batchItemFailures`: an array of indices, or of objects with `index` (or
    /// `itemIdentifier`) and `error`. `None`: the status holds for all.
    pub failures: Option<event::path::FieldPath>,
    /// The header that carries the event's key, in hexadecimal; `None`: none is sent. Of a call
    /// with several events it is a hash of their keys.
    pub idempotency_header: Option<String>,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
}

impl HttpConfig {
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

/// How several events make one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpBody {
    /// A JSON array.
    Array,
    /// One event a line.
    Ndjson,
}

/// Who calls. Secrets come from `${NAME}` and are never shown.
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

impl std::fmt::Debug for HttpAuth {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
