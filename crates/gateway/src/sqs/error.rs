//! Everything that SQS says no with, in one place: type, Query code, status.

use broker::BrokerError;
use broker::queues::ReceiptProblem;
use hyper::StatusCode;

use crate::http::Answer;
use crate::wire::Out;

const SQS: &str = "com.amazonaws.sqs#";
const CORAL: &str = "com.amazon.coral.service#";
/// Before most of the codes that the Query protocol knew.
const SIMPLE: &str = "AWS.SimpleQueueService.";

/// A kind of error: what the SDKs make their exception classes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    Internal,
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidBatchEntryId,
    InvalidMessageContents,
    InvalidParameterValue,
    MessageNotInflight,
    MissingParameter,
    OverLimit,
    PurgeQueueInProgress,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    Serialization,
    ServiceUnavailable,
    TooManyEntriesInBatchRequest,
    UnknownOperation,
    UnsupportedOperation,
}

impl Kind {
    /// Namespace and name of the type, prefix and code of the Query protocol, status.
    fn shown(self) -> (&'static str, &'static str, &'static str, &'static str, u16) {
        match self {
            Self::BatchEntryIdsNotDistinct => {
                (SQS, "BatchEntryIdsNotDistinct", SIMPLE, "BatchEntryIdsNotDistinct", 400)
            }
            Self::BatchRequestTooLong => {
                (SQS, "BatchRequestTooLong", SIMPLE, "BatchRequestTooLong", 400)
            }
            Self::EmptyBatchRequest => (SQS, "EmptyBatchRequest", SIMPLE, "EmptyBatchRequest", 400),
            Self::Internal => (CORAL, "InternalFailure", "", "InternalFailure", 500),
            Self::InvalidAttributeName => {
                (SQS, "InvalidAttributeName", "", "InvalidAttributeName", 400)
            }
            Self::InvalidAttributeValue => {
                (SQS, "InvalidAttributeValue", "", "InvalidAttributeValue", 400)
            }
            Self::InvalidBatchEntryId => {
                (SQS, "InvalidBatchEntryId", SIMPLE, "InvalidBatchEntryId", 400)
            }
            Self::InvalidMessageContents => {
                (SQS, "InvalidMessageContents", "", "InvalidMessageContents", 400)
            }
            Self::InvalidParameterValue => {
                (CORAL, "InvalidParameterValueException", "", "InvalidParameterValue", 400)
            }
            Self::MessageNotInflight => {
                (SQS, "MessageNotInflight", SIMPLE, "MessageNotInflight", 400)
            }
            Self::MissingParameter => {
                (CORAL, "MissingRequiredParameterException", "", "MissingParameter", 400)
            }
            Self::OverLimit => (SQS, "OverLimit", "", "OverLimit", 403),
            Self::PurgeQueueInProgress => {
                (SQS, "PurgeQueueInProgress", SIMPLE, "PurgeQueueInProgress", 403)
            }
            Self::QueueDoesNotExist => (SQS, "QueueDoesNotExist", SIMPLE, "NonExistentQueue", 400),
            Self::QueueNameExists => (SQS, "QueueNameExists", "", "QueueAlreadyExists", 400),
            Self::ReceiptHandleIsInvalid => {
                (SQS, "ReceiptHandleIsInvalid", "", "ReceiptHandleIsInvalid", 404)
            }
            Self::Serialization => (CORAL, "SerializationException", "", "MalformedInput", 400),
            Self::ServiceUnavailable => {
                (CORAL, "ServiceUnavailableException", "", "ServiceUnavailable", 503)
            }
            Self::TooManyEntriesInBatchRequest => {
                (SQS, "TooManyEntriesInBatchRequest", SIMPLE, "TooManyEntriesInBatchRequest", 400)
            }
            Self::UnknownOperation => {
                (CORAL, "UnknownOperationException", "", "InvalidAction", 400)
            }
            Self::UnsupportedOperation => {
                (SQS, "UnsupportedOperation", SIMPLE, "UnsupportedOperation", 400)
            }
        }
    }

    /// The code that a failed entry of a batch shows.
    pub(super) fn code(self) -> &'static str {
        self.shown().3
    }

    /// Whether the client is to blame.
    pub(super) fn is_senders(self) -> bool {
        self.shown().4 < 500
    }
}

/// An action's refusal.
#[derive(Clone, Debug)]
pub(super) struct SqsError {
    pub(super) kind: Kind,
    pub(super) message: String,
}

impl SqsError {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A parameter that must be there is not.
    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(Kind::MissingParameter, message)
    }

    /// A parameter has a value that it must not have.
    pub(super) fn invalid(
        parameter: &str,
        value: impl std::fmt::Display,
        reason: impl std::fmt::Display,
    ) -> Self {
        let message =
            format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}.");
        Self::new(Kind::InvalidParameterValue, message)
    }

    /// What a receipt handle's refusal means for a change of visibility. (Deletes don't mind.)
    pub(super) fn receipt(problem: ReceiptProblem, handle: &str) -> Self {
        match problem {
            ReceiptProblem::OtherQueue => Self::bad_handle(handle),
            ReceiptProblem::NotInFlight => {
                Self::new(Kind::MessageNotInflight, "The message referred to isn't in flight.")
            }
            ReceiptProblem::HiddenTooLong => Self::new(
                Kind::InvalidParameterValue,
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
            ),
            ReceiptProblem::Stale | ReceiptProblem::Gone => Self::invalid(
                "ReceiptHandle",
                handle,
                "Message does not exist or is not available for visibility timeout change",
            ),
        }
    }

    /// Not a receipt handle, or one of another queue.
    pub(super) fn bad_handle(handle: &str) -> Self {
        let shown: String = handle.chars().take(80).collect();
        let message =
            format!("The input receipt handle \"{shown}\" is not a valid receipt handle.");
        Self::new(Kind::ReceiptHandleIsInvalid, message)
    }

    /// As the client gets it.
    pub(super) fn into_answer(self) -> Answer {
        let (namespace, name, prefix, code, status) = self.kind.shown();
        let mut out = Out::with_capacity(128 + self.message.len());
        out.raw("{\"__type\":").quoted(format_args!("{namespace}{name}"));
        out.raw(",\"message\":").text(&self.message).raw("}");
        let whose = if self.kind.is_senders() { "Sender" } else { "Receiver" };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Answer::new(status, super::JSON, out.into())
            .with_query_error(format!("{prefix}{code};{whose}"))
    }
}

impl From<BrokerError> for SqsError {
    fn from(error: BrokerError) -> Self {
        let kind = match &error {
            BrokerError::NoSuchQueue { .. } => {
                return Self::new(Kind::QueueDoesNotExist, "The specified queue does not exist.");
            }
            BrokerError::PurgeInProgress { name } => {
                let message =
                    format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
                return Self::new(Kind::PurgeQueueInProgress, message);
            }
            BrokerError::Exists { .. } => Kind::QueueNameExists,
            BrokerError::Invalid { .. } => Kind::InvalidParameterValue,
            BrokerError::OverLimit { .. } => Kind::OverLimit,
            BrokerError::NoSpace { .. } | BrokerError::Stopped { .. } => Kind::ServiceUnavailable,
            BrokerError::NoSuchStream { .. }
            | BrokerError::NoSuchShard { .. }
            | BrokerError::Unreadable { .. } => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
