//! One call of an action.

use std::sync::Arc;

use broker::queues::{Queue, Queues};
use bytes::Bytes;
use serde::Deserialize;

use super::error::{Kind, SqsError};
use super::names;
use crate::options::GatewayOptions;
use crate::state::State;
use crate::wire::{Out, Text, read};

/// What an action answers with.
pub(super) type Answered = Result<Out, SqsError>;

/// What an action works with.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    /// The host that was asked; queue URLs name it.
    pub(super) host: &'a str,
    /// The parameters, JSON.
    pub(super) body: &'a Bytes,
}

impl<'a> Call<'a> {
    /// The parameters.
    pub(super) fn parameters<T: Deserialize<'a>>(&self) -> Result<T, SqsError> {
        read(self.body).map_err(|what| {
            SqsError::new(Kind::Serialization, format!("the request can't be read: {what}"))
        })
    }

    pub(super) fn queues(&self) -> &Queues {
        self.state.broker.queues()
    }

    pub(super) fn options(&self) -> &GatewayOptions {
        &self.state.options
    }

    /// The queue that a `QueueUrl` names.
    pub(super) fn queue(&self, url: Option<&Text<'_>>) -> Result<Arc<Queue>, SqsError> {
        let name = url.map_or("", |url| names::of_url(url));
        Ok(self.queues().get(name)?)
    }
}

/// The answer of actions that have nothing to say.
pub(super) fn nothing() -> Answered {
    let mut out = Out::with_capacity(2);
    out.raw("{}");
    Ok(out)
}
