//! One call of an action.

use std::sync::Arc;

use broker::BrokerError;
use broker::streams::{Stream, Streams};
use bytes::Bytes;
use serde::Deserialize;

use super::error::{Kind, KinesisError};
use super::names;
use crate::options::GatewayOptions;
use crate::state::State;
use crate::wire::{Out, Text, read};

/// What an action answers with.
pub(super) type Answered = Result<Out, KinesisError>;

/// What an action works with.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    /// The parameters, JSON.
    pub(super) body: &'a Bytes,
}

impl<'a> Call<'a> {
    /// The parameters.
    pub(super) fn parameters<T: Deserialize<'a>>(&self) -> Result<T, KinesisError> {
        read(self.body).map_err(|what| {
            KinesisError::new(Kind::Serialization, format!("the request can't be read: {what}"))
        })
    }

    pub(super) fn streams(&self) -> &Streams {
        self.state.broker.streams()
    }

    pub(super) fn options(&self) -> &GatewayOptions {
        &self.state.options
    }

    /// The stream that a `StreamName` or a `StreamARN` names.
    pub(super) fn stream(
        &self,
        name: Option<&Text<'_>>,
        arn: Option<&Text<'_>>,
    ) -> Result<Arc<Stream>, KinesisError> {
        let of_arn = arn.map(|arn| names::of_arn(self.options(), arn)).transpose()?;
        match (name, of_arn) {
            (None, None) => {
                Err(KinesisError::argument("Either StreamARN or StreamName should be provided."))
            }
            (Some(name), Some(of_arn)) if **name != *of_arn => Err(KinesisError::argument(
                "StreamARN and StreamName are of different streams; provide one of them.",
            )),
            (Some(name), _) => {
                names::check(name)?;
                self.named(name)
            }
            (None, Some(name)) => self.named(name),
        }
    }

    /// The stream of that name.
    pub(super) fn named(&self, name: &str) -> Result<Arc<Stream>, KinesisError> {
        self.streams().get(name).map_err(|error| self.of_stream(name, error))
    }

    /// What the broker says of a stream, in the service's words.
    pub(super) fn of_stream(&self, name: &str, error: BrokerError) -> KinesisError {
        let account = &self.options().account;
        match error {
            BrokerError::NoSuchStream { .. } => {
                let message = format!("Stream {name} under account {account} not found.");
                KinesisError::new(Kind::ResourceNotFound, message)
            }
            BrokerError::Exists { .. } => {
                let message = format!("Stream {name} under account {account} already exists.");
                KinesisError::new(Kind::ResourceInUse, message)
            }
            other => other.into(),
        }
    }
}

/// The answer of actions that have nothing to say.
pub(super) fn nothing() -> Answered {
    Ok(Out::with_capacity(0))
}

/// Runs what waits for the disk on a thread where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(BrokerError::Stopped { cause: error.to_string() }))
}
