//! What a failed request amounts to.

use std::fmt::Debug;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::store::StoreFault;

/// Codes that pass by themselves when one is slower.
const THROTTLED: [&str; 5] = [
    "ProvisionedThroughputExceeded",
    "Throttling",
    "RequestLimitExceeded",
    "TooManyRequests",
    "SlowDown",
];
/// Codes that stay until somebody changes a right or a credential.
const DENIED: [&str; 7] = [
    "AccessDenied",
    "UnrecognizedClient",
    "InvalidSignature",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "InvalidClientTokenId",
];
/// Codes that pass by themselves.
const PASSING: [&str; 6] = [
    "InternalServer",
    "InternalFailure",
    "ServiceUnavailable",
    "RequestTimeout",
    // Credentials that are drawn anew.
    "ExpiredToken",
    "LimitExceeded",
];

/// What follows from a failed request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The condition of the write didn't hold.
    Condition,
    /// Try again.
    Again(String),
    /// It would fail again.
    Stop(StoreFault, String),
}

impl Refusal {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let SdkError::ServiceError(answer) = error else {
            let text = DisplayErrorContext(error).to_string();
            // Without credentials or a region nothing was sent.
            return if text.contains("redentials")
                || matches!(error, SdkError::ConstructionFailure(_))
            {
                Self::Stop(StoreFault::Refused, text)
            } else {
                Self::Again(text)
            };
        };
        let status = answer.raw().status().as_u16();
        let code = error.code().unwrap_or_default();
        Self::of_answer(status, code, error.message().unwrap_or_default())
    }

    fn of_answer(status: u16, code: &str, message: &str) -> Self {
        let is = |codes: &[&str]| codes.iter().any(|known| code.contains(known));
        let text = match (code, message) {
            ("", "") => format!("status {status}"),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        if code == "ConditionalCheckFailedException" {
            Self::Condition
        } else if is(&THROTTLED) || is(&PASSING) || status >= 500 || code.is_empty() {
            Self::Again(text)
        } else if code.contains("ResourceNotFound") {
            Self::Stop(StoreFault::Lost, text)
        } else if is(&DENIED) {
            let help = if message.contains("xpired") || message.contains("not yet current") {
                "; is this machine's clock right? Requests are signed with its time"
            } else {
                "; the rights that are needed are in docs/formats/dynamodb.md"
            };
            Self::Stop(StoreFault::Refused, text + help)
        } else if message.contains("Item size") || message.contains("item size") {
            Self::Stop(StoreFault::Full, text)
        } else {
            Self::Stop(StoreFault::Refused, text)
        }
    }

    /// Whether the caller was too fast.
    pub(super) fn is_throttling(text: &str) -> bool {
        THROTTLED.iter().any(|known| text.contains(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, code: &str, message: &str) -> Option<StoreFault> {
        match Refusal::of_answer(status, code, message) {
            Refusal::Stop(fault, _) => Some(fault),
            _ => None,
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        for code in [
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "RequestLimitExceeded",
            "InternalServerError",
            "ServiceUnavailable",
            "ExpiredTokenException",
        ] {
            assert!(matches!(Refusal::of_answer(400, code, ""), Refusal::Again(_)), "{code}");
        }
        assert_eq!(Refusal::of_answer(502, "", ""), Refusal::Again("status 502".into()));
    }

    #[test]
    fn what_stays_is_named_at_once() {
        assert_eq!(fault(400, "ResourceNotFoundException", "no"), Some(StoreFault::Lost));
        assert_eq!(fault(400, "AccessDeniedException", "no"), Some(StoreFault::Refused));
        assert_eq!(fault(400, "ValidationException", "bad key"), Some(StoreFault::Refused));
        let large = "Item size has exceeded the maximum allowed size";
        assert_eq!(fault(400, "ValidationException", large), Some(StoreFault::Full));
    }

    #[test]
    fn a_clock_that_is_wrong_is_asked_about() {
        let refused =
            Refusal::of_answer(400, "InvalidSignatureException", "Signature expired: 1 < 2");
        let Refusal::Stop(StoreFault::Refused, text) = refused else { panic!("{refused:?}") };
        assert!(text.contains("clock"), "{text}");
    }
}
