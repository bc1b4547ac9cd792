//! Calls a receiver and says what became of each call.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::Clock;
use event::sink::{Failure, FailureKind};
use event::source::Stop;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};

use super::auth::{self, Auth};
use super::connect::{CachedResolver, NoticedConnector, noticing_reuse};
use super::failure::{class_of, failure, of_status, retry_after};
use super::oauth::Token;
use super::rate::Rate;
use super::secrets::Secrets;
use super::{HttpAuth, HttpError, HttpOptions, tls};

/// Of an answer so much is read, where the caller doesn't ask for more.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The headers of an answer may have so many bytes.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// So much of an answer that says no is shown.
const SHOWN_CHARS_MAX: usize = 300;
/// A connection that rested longer is not used again: many servers close theirs after 5 s, and a
/// call that meets the closing fails.
const IDLE_AGE_MAX: Duration = Duration::from_secs(4);
/// Values of configured headers that are at least so long are not shown: they may be secrets.
const HEADER_HIDDEN_LEN_MIN: usize = 8;

/// One call.
#[derive(Clone, Copy)]
pub struct HttpRequest<'a> {
    /// What is sent.
    pub body: &'a [u8],
    /// What it is.
    pub content_type: &'static str,
    /// Sent beside those of the options.
    pub headers: &'a [(&'a str, &'a str)],
    /// The receiver can tell when it gets the same call twice, or it doesn't matter: a call on a
    /// connection that the receiver closed in the same moment is made again at once.
    pub repeatable: bool,
    /// Of the answer so much is read.
    pub answer_bytes_max: usize,
    /// Makes the call wait no longer for its turn (`calls_per_second_max`).
    pub stop: Option<&'a Stop>,
    /// A call whose turn comes later isn't made.
    pub begin_before: Option<Instant>,
}

impl<'a> HttpRequest<'a> {
    /// JSON, and everything else at its default.
    #[must_use]
    pub fn json(body: &'a [u8]) -> Self {
        Self {
            body,
            content_type: "application/json",
            headers: &[],
            repeatable: false,
            answer_bytes_max: ANSWER_BYTES_MAX,
            stop: None,
            begin_before: None,
        }
    }
}

/// The receiver said yes (2xx).
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status; 200 to 299.
    pub status: u16,
    /// What it said; a failure where its answer is too long or was cut off, which doesn't change
    /// the yes.
    pub body: Result<Vec<u8>, Failure>,
}

/// The receiver didn't say yes.
#[derive(Debug, PartialEq, Eq)]
pub enum NotAnswered {
    /// The call was not made: somebody asked to stop, or its turn would have come too late.
    NotTried,
    /// It said no, or nothing.
    Failed(Failure),
}

/// Calls one receiver, from any number of threads.
pub struct HttpClient {
    agent: ureq::Agent,
    method: Method,
    url: Uri,
    /// What of the URL may be shown.
    origin: String,
    headers: HeaderMap,
    auth: Auth,
    rate: Option<Rate>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    secrets: Secrets,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpClient({})", self.origin)
    }
}

impl HttpClient {
    /// A client; connects with the first call. `clock` dates signatures and `Retry-After`.
    ///
    /// # Errors
    /// [`HttpError`]: the options can't be used.
    pub fn new(options: &HttpOptions, clock: Arc<dyn Clock>) -> Result<Self, HttpError> {
        let url = url(&options.url)?;
        let method = match options.method.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            other => return Err(HttpError::Method { method: other.to_owned() }),
        };
        let mut secrets = Secrets::default();
        if let HttpAuth::OAuth { token_url, .. } = &options.auth {
            self::url(token_url)?;
        }
        let auth = Auth::new(&options.auth, &mut secrets)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            if value.len() >= HEADER_HIDDEN_LEN_MIN {
                secrets.add(value);
            }
            headers.append(auth::name(name)?, auth::secret(name, value)?);
        }
        if let Some(path) = url.path_and_query().filter(|path| path.as_str().len() > 1) {
            secrets.add(path.as_str());
        }
        let rate = options.calls_per_second_max.map(Rate::new);
        let agent = agent(options, &url, &auth)?;
        let origin = super::origin(&options.url);
        let timeout = options.timeout;
        Ok(Self { agent, method, url, origin, headers, auth, rate, timeout, clock, secrets })
    }

    /// Makes a call and waits for its answer, the timeout at the longest (and, before, for its
    /// turn under `calls_per_second_max`).
    ///
    /// # Errors
    /// [`NotAnswered`]
    pub fn call(&self, request: &HttpRequest<'_>) -> Result<HttpAnswer, NotAnswered> {
        self.turn(request)?;
        let begun = Instant::now();
        let Auth::Tokens(oauth) = &self.auth else {
            let header = match &self.auth {
                Auth::None | Auth::Tokens(_) => None,
                Auth::Fixed(name, value) => Some((name.clone(), value.clone())),
                Auth::Hmac(name, key) => {
                    let value = auth::signature(key, self.clock.now_ms(), request.body);
                    value.map(|value| (name.clone(), value))
                }
            };
            let response = self.send(request, header.as_ref(), begun)?;
            return self.read(response, request, None);
        };
        let authorization = |token: &Token| Some((header::AUTHORIZATION, token.header.clone()));
        let mut token = oauth.token(&self.agent, None).map_err(NotAnswered::Failed)?;
        let mut response = self.send(request, authorization(&token).as_ref(), begun)?;
        if response.status().as_u16() == 401 {
            drop(response);
            token = oauth.token(&self.agent, Some(&token)).map_err(NotAnswered::Failed)?;
            self.turn(request)?;
            response = self.send(request, authorization(&token).as_ref(), begun)?;
        }
        self.read(response, request, Some(&token.text))
    }

    fn turn(&self, request: &HttpRequest<'_>) -> Result<(), NotAnswered> {
        let mine =
            self.rate.as_ref().is_none_or(|rate| rate.wait(request.stop, request.begin_before));
        if mine { Ok(()) } else { Err(NotAnswered::NotTried) }
    }

    /// Sends it, and once more where the connection turned out to be closed.
    fn send(
        &self,
        request: &HttpRequest<'_>,
        auth: Option<&(ureq::http::HeaderName, HeaderValue)>,
        begun: Instant,
    ) -> Result<Response<ureq::Body>, NotAnswered> {
        let mut again = request.repeatable;
        loop {
            let prepared = self.prepare(request, auth).map_err(|name| {
                let message = format!("the header `{name}` can't be sent");
                NotAnswered::Failed(failure(FailureKind::Deterministic, "header", message))
            })?;
            let (result, reused) = noticing_reuse(|| self.run(prepared, begun.elapsed()));
            match result {
                Ok(response) => return Ok(response),
                Err(error) if again && reused && class_of(&error) == "reset" => again = false,
                Err(error) => return Err(NotAnswered::Failed(self.unreachable(&error))),
            }
        }
    }

    /// Runs it within what is left of the timeout. Most calls begin at once: they take the agent's
    /// own timeout, with which a connection's TLS needs no settings of its own.
    fn run(
        &self,
        prepared: Request<&[u8]>,
        spent: Duration,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        if spent <= self.timeout / 8 {
            return self.agent.run(prepared);
        }
        let left = self.timeout.saturating_sub(spent).max(Duration::from_millis(1));
        let prepared = self.agent.configure_request(prepared).timeout_global(Some(left)).build();
        self.agent.run(prepared)
    }

    fn prepare<'a>(
        &self,
        request: &HttpRequest<'a>,
        auth: Option<&(ureq::http::HeaderName, HeaderValue)>,
    ) -> Result<Request<&'a [u8]>, String> {
        let mut prepared = Request::new(request.body);
        *prepared.method_mut() = self.method.clone();
        *prepared.uri_mut() = self.url.clone();
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        for (name, value) in request.headers {
            let bad = || (*name).to_owned();
            let value = HeaderValue::from_str(value).map_err(|_| bad())?;
            headers.insert(auth::name(name).map_err(|_| bad())?, value);
        }
        if let Some((name, value)) = auth {
            headers.insert(name.clone(), value.clone());
        }
        *prepared.headers_mut() = headers;
        Ok(prepared)
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let class = class_of(error);
        let text = match class {
            "timeout" => format!("no answer within {} ms", self.timeout.as_millis()),
            _ => say(error),
        };
        let message = format!("{} {}: {text}", self.method, self.origin);
        failure(FailureKind::Unreachable, class, message)
    }

    fn read(
        &self,
        response: Response<ureq::Body>,
        request: &HttpRequest<'_>,
        token: Option<&str>,
    ) -> Result<HttpAnswer, NotAnswered> {
        let status = response.status();
        let wish = response.headers().get(header::RETRY_AFTER);
        let wish = wish.and_then(|value| retry_after(value.to_str().ok()?, self.clock.now_ms()));
        let said = of_status(status.as_u16());
        // Of a no only the begin is shown.
        let most = said.as_ref().map_or(request.answer_bytes_max, |_| ANSWER_BYTES_MAX);
        let body = read_body(response.into_body(), most);
        let Some((kind, class)) = said else {
            let body = body.map_err(|error| match error {
                Some(error) => self.unreachable(&error),
                None => {
                    let most = request.answer_bytes_max;
                    let message = format!("the answer of {} is over {most} bytes", self.origin);
                    failure(FailureKind::Transient, "nonsense", message)
                }
            });
            return Ok(HttpAnswer { status: status.as_u16(), body });
        };
        let said = body.unwrap_or_default();
        let said = shown(&self.secrets.hide(&String::from_utf8_lossy(&said), token));
        let colon = if said.is_empty() { "" } else { ": " };
        let message = format!("{} {} answered {status}{colon}{said}", self.method, self.origin);
        let retry_after = wish.filter(|_| kind == FailureKind::Transient);
        Err(NotAnswered::Failed(Failure { class, message, kind, retry_after }))
    }
}

/// Reads a URL that can be called.
pub(super) fn url(text: &str) -> Result<Uri, HttpError> {
    let origin = super::origin(text);
    let wrong = |why| HttpError::Url { origin: origin.clone(), why };
    let url: Uri = text.parse().map_err(|_| wrong("it isn't one"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it begins with http:// or https://"));
    }
    match url.authority() {
        None => Err(wrong("it names no host")),
        Some(authority) if authority.host().is_empty() => Err(wrong("it names no host")),
        Some(authority) if authority.as_str().contains('@') => {
            Err(wrong("user and password go into `auth: { basic: … }`, not into the URL"))
        }
        Some(_) => Ok(url),
    }
}

fn agent(options: &HttpOptions, url: &Uri, auth: &Auth) -> Result<ureq::Agent, HttpError> {
    let https = url.scheme_str() == Some("https")
        || matches!(auth, Auth::Tokens(oauth) if oauth.is_https());
    let idle_max = usize::try_from(options.connections_max).unwrap_or(1).saturating_add(1);
    let mut config = ureq::Agent::config_builder()
        .tls_config(tls::config(https, options.ca_file.as_deref())?)
        .timeout_global(Some(options.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("onceflow/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .max_response_header_size(HEADERS_BYTES_MAX)
        .max_idle_connections(idle_max)
        .max_idle_connections_per_host(idle_max)
        .max_idle_age(IDLE_AGE_MAX);
    if is_loopback(url) {
        config = config.proxy(None); // a proxy's loopback isn't ours
    }
    Ok(ureq::Agent::with_parts(
        config.build(),
        NoticedConnector::default(),
        CachedResolver::default(),
    ))
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads a body to its end, so that its connection can be used again. `None`: it is too long.
pub(super) fn read_body(
    body: ureq::Body,
    bytes_max: usize,
) -> Result<Vec<u8>, Option<ureq::Error>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = body.into_reader().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Some(ureq::Error::from(error)))?;
    if bytes.len() > bytes_max { Err(None) } else { Ok(bytes) }
}

/// What went wrong, without the URL.
pub(super) fn say(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => "the URL is wrong".into(),
        ureq::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the connection was closed".into(),
            _ => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// The begin of what somebody said, in one line.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(SHOWN_CHARS_MAX).collect::<String>().trim().to_owned()
}
