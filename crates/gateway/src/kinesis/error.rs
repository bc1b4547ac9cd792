//! Everything that Kinesis says no with, in one place.

use broker::BrokerError;
use hyper::StatusCode;

use crate::http::Answer;
use crate::wire::Out;

/// A kind of error: what the SDKs make their exception classes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ExpiredIterator,
    InternalFailure,
    InvalidArgument,
    LimitExceeded,
    ProvisionedThroughputExceeded,
    ResourceInUse,
    ResourceNotFound,
    Serialization,
    ServiceUnavailable,
    UnknownOperation,
    Validation,
}

impl Kind {
    /// Type and status.
    pub(super) fn shown(self) -> (&'static str, StatusCode) {
        match self {
            Self::ExpiredIterator => ("ExpiredIteratorException", StatusCode::BAD_REQUEST),
            Self::InternalFailure => {
                ("InternalFailureException", StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::InvalidArgument => ("InvalidArgumentException", StatusCode::BAD_REQUEST),
            Self::LimitExceeded => ("LimitExceededException", StatusCode::BAD_REQUEST),
            Self::ProvisionedThroughputExceeded => {
                ("ProvisionedThroughputExceededException", StatusCode::BAD_REQUEST)
            }
            Self::ResourceInUse => ("ResourceInUseException", StatusCode::BAD_REQUEST),
            Self::ResourceNotFound => ("ResourceNotFoundException", StatusCode::BAD_REQUEST),
            Self::Serialization => ("SerializationException", StatusCode::BAD_REQUEST),
            Self::ServiceUnavailable => {
                ("ServiceUnavailableException", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::UnknownOperation => ("UnknownOperationException", StatusCode::BAD_REQUEST),
            Self::Validation => ("ValidationException", StatusCode::BAD_REQUEST),
        }
    }
}

/// An action's refusal.
#[derive(Clone, Debug)]
pub(super) struct KinesisError {
    pub(super) kind: Kind,
    pub(super) message: String,
}

impl KinesisError {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A parameter breaks a constraint of the model. `field` in lower camel case, as the service
    /// writes it.
    pub(super) fn constraint(
        value: impl std::fmt::Display,
        field: &str,
        constraint: impl std::fmt::Display,
    ) -> Self {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy \
             constraint: {constraint}"
        );
        Self::new(Kind::Validation, message)
    }

    /// A parameter that must be there is not.
    pub(super) fn missing(field: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: \
             Member must not be null"
        );
        Self::new(Kind::Validation, message)
    }

    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// As the client gets it.
    pub(super) fn into_answer(self) -> Answer {
        let (kind, status) = self.kind.shown();
        let mut out = Out::with_capacity(64 + self.message.len());
        out.raw("{\"__type\":").quoted(kind);
        out.raw(",\"message\":").text(&self.message).raw("}");
        Answer::new(status, super::JSON, out.into())
    }
}

impl From<BrokerError> for KinesisError {
    fn from(error: BrokerError) -> Self {
        let kind = match &error {
            BrokerError::NoSuchStream { .. } | BrokerError::NoSuchShard { .. } => {
                Kind::ResourceNotFound
            }
            BrokerError::Exists { .. } => Kind::ResourceInUse,
            BrokerError::Invalid { .. } => Kind::InvalidArgument,
            BrokerError::OverLimit { .. } => Kind::LimitExceeded,
            BrokerError::NoSpace { .. } | BrokerError::Stopped { .. } => Kind::ServiceUnavailable,
            BrokerError::NoSuchQueue { .. }
            | BrokerError::PurgeInProgress { .. }
            | BrokerError::Unreadable { .. } => Kind::InternalFailure,
        };
        Self::new(kind, error.to_string())
    }
}
