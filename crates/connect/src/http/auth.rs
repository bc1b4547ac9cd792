//! Who calls: the header that says so.

use aws_lc_rs::hmac;
use ureq::http::{HeaderName, HeaderValue, header};

use super::oauth::OAuth;
use super::secrets::Secrets;
use super::{HttpAuth, HttpError};

/// Who calls, ready to use.
pub(super) enum Auth {
    None,
    Fixed(HeaderName, HeaderValue),
    Tokens(Box<OAuth>),
    Hmac(HeaderName, Box<hmac::Key>),
}

impl Auth {
    pub(super) fn new(auth: &HttpAuth, secrets: &mut Secrets) -> Result<Self, HttpError> {
        Ok(match auth {
            HttpAuth::None => Self::None,
            HttpAuth::Basic { user, password } => {
                let pair = base64_simd::STANDARD.encode_to_string(format!("{user}:{password}"));
                secrets.add(password);
                secrets.add(&pair);
                Self::Fixed(
                    header::AUTHORIZATION,
                    secret("authorization", &format!("Basic {pair}"))?,
                )
            }
            HttpAuth::Bearer { token } => {
                secrets.add(token);
                Self::Fixed(header::AUTHORIZATION, bearer(token)?)
            }
            HttpAuth::ApiKey { header, value } => {
                secrets.add(value);
                Self::Fixed(name(header)?, secret(header, value)?)
            }
            HttpAuth::OAuth { token_url, client_id, client_secret, scope } => {
                secrets.add(client_secret);
                let scope = scope.as_deref();
                Self::Tokens(Box::new(OAuth::new(token_url, client_id, client_secret, scope)?))
            }
            HttpAuth::Hmac { header, secret } => {
                secrets.add(secret);
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                Self::Hmac(name(header)?, Box::new(key))
            }
        })
    }
}

/// `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
pub(super) fn signature(key: &hmac::Key, now_ms: i64, body: &[u8]) -> Option<HeaderValue> {
    let seconds = now_ms.div_euclid(1000);
    let mut signing = hmac::Context::with_key(key);
    signing.update(format!("{seconds}.").as_bytes());
    signing.update(body);
    let mut text = format!("t={seconds},v1=");
    for byte in signing.sign().as_ref() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16)?);
        }
    }
    HeaderValue::from_str(&text).ok()
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue, HttpError> {
    secret("authorization", &format!("Bearer {token}"))
}

pub(super) fn name(text: &str) -> Result<HeaderName, HttpError> {
    let why = "its name may hold letters, digits and a few signs, no spaces";
    text.parse().map_err(|_| HttpError::Header { name: text.escape_debug().to_string(), why })
}

/// A value that ureq doesn't log.
pub(super) fn secret(name: &str, value: &str) -> Result<HeaderValue, HttpError> {
    let why = "its value holds line breaks or other signs that a header can't have";
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| HttpError::Header { name: name.to_owned(), why })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_time_and_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec");
        let value = signature(&key, 1_700_000_000_999, br#"{"a":1}"#).unwrap();
        assert_eq!(
            value.to_str().unwrap(),
            "t=1700000000,v1=8ad37ba156048ae0e0a5533c75cdf26fee88b07f93cb57ee4c80adb053012032"
        );
    }

    #[test]
    fn values_that_would_add_headers_are_refused() {
        assert!(secret("x", "a\r\nevil: 1").is_err());
        assert!(name("a b").is_err());
        assert!(bearer("ok").unwrap().is_sensitive());
    }
}
