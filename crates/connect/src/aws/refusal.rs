//! What a call of the SDK was refused for.

use std::fmt::Debug;

use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// A refused or failed call.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The service's code; empty when no answer came.
    pub(crate) code: String,
    /// For a person.
    pub(crate) text: String,
}

impl Refusal {
    /// Whether what was asked for is not there (by any of the services' names for that).
    pub(crate) fn is_missing(&self) -> bool {
        ["QueueDoesNotExist", "NonExistentQueue", "ResourceNotFound"]
            .iter()
            .any(|name| self.code.contains(name))
    }

    /// Whether the caller was too fast.
    pub(crate) fn is_throttled(&self) -> bool {
        ["Throttl", "ThroughputExceeded", "LimitExceeded"]
            .iter()
            .any(|name| self.code.contains(name))
    }

    /// Whether a position is no longer usable as it is.
    pub(crate) fn is_expired_iterator(&self) -> bool {
        self.code.contains("ExpiredIterator")
    }

    /// Whether the same call would be refused for ever.
    pub(crate) fn is_invalid(&self) -> bool {
        self.code.contains("InvalidArgument") || self.code.contains("ValidationException")
    }
}

/// What `error` amounts to.
pub(crate) fn refusal<E, R>(error: &SdkError<E, R>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: Debug,
{
    let code = error.code().unwrap_or_default().to_owned();
    let text = match (error, error.message()) {
        (SdkError::ServiceError(_), Some(message)) if code.is_empty() => message.to_owned(),
        (SdkError::ServiceError(_), Some(message)) => format!("{code}: {message}"),
        _ => DisplayErrorContext(error).to_string(),
    };
    Refusal { code, text }
}
