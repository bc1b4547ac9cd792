//! What became of a call: which answers are final, which may change, and which are none.

use std::io::ErrorKind;
use std::time::Duration;

use event::sink::{Failure, FailureKind};
use jiff::fmt::rfc2822;

/// A receiver may ask for a pause of this length at most.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Statuses that say "later": the receiver timed out, wants no early data, or has too many calls.
/// Everything from 500 on is one, too.
const TRANSIENT: [u16; 3] = [408, 425, 429];

/// Deterministic statuses that hold for every call and not for what was sent: to send half of it
/// would find nothing out.
const ABOUT_THE_CALL: [u16; 3] = [401, 405, 407];

/// What a status says of the call, with its class. `None`: the receiver has it.
pub(super) fn of_status(status: u16) -> Option<(FailureKind, String)> {
    match status {
        200..=299 => None,
        300..=499 if !TRANSIENT.contains(&status) => {
            Some((FailureKind::Deterministic, format!("http_{status}")))
        }
        300..=599 => Some((FailureKind::Transient, format!("http_{status}"))),
        _ => Some((FailureKind::Unreachable, "nonsense".into())),
    }
}

/// Whether a batch that failed so may hold events that would go well without the others.
pub(super) fn may_be_one_event(failure: &Failure) -> bool {
    let status = failure.class.strip_prefix("http_").and_then(|text| text.parse::<u16>().ok());
    failure.kind == FailureKind::Deterministic
        && status.is_none_or(|status| status >= 400 && !ABOUT_THE_CALL.contains(&status))
}

/// `Retry-After`, in seconds or as a date; at most an hour.
pub(super) fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time, too.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = rfc2822::parse(value).ok()?.timestamp().as_millisecond();
        Duration::from_millis(u64::try_from(at.saturating_sub(now_ms)).unwrap_or(0))
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The class of a call that got no answer.
pub(super) fn class_of(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Timeout(_) => "timeout",
        ureq::Error::Io(error) => class_of_io(error),
        ureq::Error::Tls(_)
        | ureq::Error::Pem(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::TlsRequired => "tls",
        ureq::Error::Protocol(_)
        | ureq::Error::Http(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::BodyStalled => "nonsense",
        _ => "connect",
    }
}

fn class_of_io(error: &std::io::Error) -> &'static str {
    let inner = error.get_ref();
    if let Some(inner) = inner.and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return class_of(inner);
    }
    if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        return "tls";
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timeout",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => "reset",
        ErrorKind::InvalidData => "nonsense",
        _ => "connect",
    }
}

/// A failure without a wish of the receiver's.
pub(super) fn failure(kind: FailureKind, class: impl Into<String>, message: String) -> Failure {
    Failure { class: class.into(), message, kind, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_one_meaning() {
        let kind = |status| of_status(status).map(|(kind, _)| kind);
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(kind(status), None, "{status}");
        }
        for status in [300, 301, 304, 308, 400, 401, 403, 404, 409, 410, 413, 422, 431, 499] {
            assert_eq!(kind(status), Some(FailureKind::Deterministic), "{status}");
        }
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 599] {
            assert_eq!(kind(status), Some(FailureKind::Transient), "{status}");
        }
        for status in [100, 101, 199, 600, 999] {
            assert_eq!(of_status(status), Some((FailureKind::Unreachable, "nonsense".into())));
        }
        assert_eq!(of_status(429).map(|(_, class)| class), Some("http_429".into()));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now_ms = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        let seconds = |s| Some(Duration::from_secs(s));
        for (value, wait) in [
            ("0", seconds(0)),
            (" 7 ", seconds(7)),
            ("99999", seconds(3600)),
            ("99999999999999999999999", seconds(3600)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", seconds(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", seconds(0)),
            ("Tue, 08 Nov 1994 08:49:37 GMT", seconds(3600)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("1.5", None),
        ] {
            assert_eq!(retry_after(value, now_ms), wait, "{value}");
        }
    }

    #[test]
    fn what_no_event_can_be_blamed_for_is_not_bisected() {
        let deterministic = |class: &str| failure(FailureKind::Deterministic, class, String::new());
        for class in ["http_400", "http_403", "http_404", "http_413", "http_422"] {
            assert!(may_be_one_event(&deterministic(class)), "{class}");
        }
        for class in ["http_301", "http_401", "http_405", "http_407"] {
            assert!(!may_be_one_event(&deterministic(class)), "{class}");
        }
        assert!(!may_be_one_event(&failure(FailureKind::Transient, "http_500", String::new())));
    }
}
