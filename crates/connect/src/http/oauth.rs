//! Tokens of OAuth 2 client credentials (RFC 6749 §4.4).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::sink::{Failure, FailureKind};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{HeaderValue, Request, Uri, header};

use super::failure::failure;
use super::{ANSWER_BYTES_MAX, HttpError, auth, client};

/// How long a token is kept whose answer doesn't say it.
const TOKEN_AGE: Duration = Duration::from_secs(300);
/// A token is asked for again so long before it expires, or a tenth of its time if that is less.
const EARLY_MAX: Duration = Duration::from_secs(60);
/// A token is kept for a year at most.
const TOKEN_AGE_MAX_S: u64 = 365 * 24 * 3600;

/// A token in use.
#[derive(Clone)]
pub(super) struct Token {
    /// `Bearer …`.
    pub(super) header: HeaderValue,
    /// The token alone, to hide it.
    pub(super) text: String,
    renew_at: Instant,
    number: u64,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    tokens: u64,
    /// The latest failure: who waited while it was found out needn't find out again.
    failed: Option<(Instant, Failure)>,
}

/// Asks for tokens and keeps them.
pub(super) struct OAuth {
    url: Uri,
    origin: String,
    /// User and password, as RFC 6749 §2.3.1 wants every server to know them.
    basic: HeaderValue,
    form: String,
    /// The same in the form, for servers that know only this.
    form_with_client: String,
    in_form: AtomicBool,
    state: Mutex<State>,
}

impl OAuth {
    pub(super) fn new(
        url: &str,
        client_id: &str,
        client_secret: &str,
        scope: Option<&str>,
    ) -> Result<Self, HttpError> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (id, secret) = (encoded(client_id), encoded(client_secret));
        let pair = base64_simd::STANDARD.encode_to_string(format!("{id}:{secret}"));
        let scope = scope.map(|scope| format!("&scope={}", encoded(scope))).unwrap_or_default();
        let form = format!("grant_type=client_credentials{scope}");
        Ok(Self {
            url: client::url(url)?,
            origin: super::origin(url),
            basic: auth::secret("authorization", &format!("Basic {pair}"))?,
            form_with_client: format!("{form}&client_id={id}&client_secret={secret}"),
            form,
            in_form: AtomicBool::new(false),
            state: Mutex::new(State::default()),
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    /// The token, asked for where there is none or `refused` is the one there is.
    ///
    /// # Errors
    /// Why there is none; always transient, with class `token`.
    pub(super) fn token(
        &self,
        agent: &ureq::Agent,
        refused: Option<&Token>,
    ) -> Result<Token, Failure> {
        let begun = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(token) = &state.token
            && token.renew_at > now
            && refused.is_none_or(|refused| refused.number != token.number)
        {
            return Ok(token.clone());
        }
        if let Some((at, failed)) = &state.failed
            && *at >= begun
        {
            return Err(failed.clone());
        }
        state.token = None;
        match self.ask(agent) {
            Ok((text, header, age)) => {
                state.tokens += 1;
                let renew_at = Instant::now() + age.saturating_sub(EARLY_MAX.min(age / 10));
                let token = Token { header, text, renew_at, number: state.tokens };
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(why) => {
                let message = format!("no token from {}: {why}", self.origin);
                let failed = failure(FailureKind::Transient, "token", message);
                state.failed = Some((Instant::now(), failed.clone()));
                Err(failed)
            }
        }
    }

    fn ask(&self, agent: &ureq::Agent) -> Result<(String, HeaderValue, Duration), String> {
        let in_form = self.in_form.load(Ordering::Relaxed);
        let (mut status, mut body) = self.post(agent, in_form)?;
        if matches!(status, 400 | 401) {
            let other = self.post(agent, !in_form)?;
            if (200..300).contains(&other.0) {
                self.in_form.store(!in_form, Ordering::Relaxed);
                (status, body) = other;
            }
        }
        if !(200..300).contains(&status) {
            // RFC 6749 §5.2: a word like `invalid_client`, which holds no secret.
            let error = serde_json::from_slice::<serde_json::Value>(&body).ok();
            let error = error.as_ref().and_then(|answer| answer.get("error")?.as_str());
            let known = |word: &&str| {
                word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            let error = error.filter(known).map(|word| format!(" ({word})")).unwrap_or_default();
            return Err(format!("it answered {status}{error}"));
        }
        read(&body).ok_or_else(|| "its answer holds no bearer token".to_owned())
    }

    fn post(&self, agent: &ureq::Agent, in_form: bool) -> Result<(u16, Vec<u8>), String> {
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        let request = if in_form {
            request.body(self.form_with_client.as_str())
        } else {
            request.header(header::AUTHORIZATION, self.basic.clone()).body(self.form.as_str())
        };
        let request = request.map_err(|_| "the request can't be made".to_owned())?;
        let response = agent.run(request).map_err(|error| client::say(&error))?;
        let status = response.status().as_u16();
        let body = client::read_body(response.into_body(), ANSWER_BYTES_MAX);
        let body = body
            .map_err(|error| error.map_or("its answer is too long".into(), |e| client::say(&e)))?;
        Ok((status, body))
    }
}

/// Token, header, and for how long it holds.
fn read(body: &[u8]) -> Option<(String, HeaderValue, Duration)> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = answer.get("access_token")?.as_str()?;
    let kind = answer.get("token_type").and_then(|kind| kind.as_str()).unwrap_or("bearer");
    if text.is_empty() || !kind.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let seconds = answer.get("expires_in").and_then(|value| match value {
        serde_json::Value::String(text) => text.parse().ok(), // some do
        other => other.as_u64(),
    });
    let age = seconds.map_or(TOKEN_AGE, |s| Duration::from_secs(s.min(TOKEN_AGE_MAX_S)));
    Some((text.to_owned(), auth::bearer(text).ok()?, age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_token_endpoints() {
        let age = |body: &str| read(body.as_bytes()).map(|(_, _, age)| age.as_secs());
        assert_eq!(age(r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#), Some(60));
        assert_eq!(age(r#"{"access_token":"t","expires_in":"60"}"#), Some(60));
        assert_eq!(age(r#"{"access_token":"t"}"#), Some(300));
        assert_eq!(age(r#"{"access_token":"t","expires_in":99999999999}"#), Some(TOKEN_AGE_MAX_S));
        for bad in ["", "{}", "[]", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#] {
            assert_eq!(age(bad), None, "{bad}");
        }
        assert_eq!(age(r#"{"access_token":"t","token_type":"mac"}"#), None);
    }
}
