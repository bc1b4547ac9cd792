//! The AWS SDK, set up for an endpoint.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use super::batches::Outgoing;
use super::connection::{Answer, Problem};
use super::queue::Queue;
use super::stream::Stream;
use super::{Endpoint, Kind, Target};

/// How long a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What takes requests.
#[derive(Debug)]
pub(super) enum Sender {
    Stream(Stream),
    Queue(Queue),
}

impl Sender {
    /// One request.
    pub(super) async fn send(&self, events: &[Outgoing]) -> Result<Answer, Problem> {
        match self {
            Sender::Stream(stream) => stream.send(events).await,
            Sender::Queue(queue) => queue.send(events).await,
        }
    }
}

/// Finds the stream or queue.
pub(super) async fn connect(target: &Target) -> Result<Sender, String> {
    let config = config(&target.endpoint).await;
    let found = match target.kind {
        Kind::Stream => Stream::find(&config, target).await.map(Sender::Stream),
        Kind::Queue => Queue::find(&config, target).await.map(Sender::Queue),
    };
    found.map_err(|said| format!("{}: {said}", target.place()))
}

/// Region and credentials come from the environment and the user's AWS files; an endpoint that
/// isn't AWS gets made-up ones where there are none.
async fn config(endpoint: &Endpoint) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_MAX)
        .operation_attempt_timeout(REQUEST_MAX)
        .build();
    // Tried again here, where it is counted.
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Endpoint::Url(url) = endpoint {
        loader = loader.endpoint_url(url);
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            let made_up = Credentials::new("test", "test", None, None, "onceflow");
            loader = loader.credentials_provider(made_up);
        }
        if std::env::var_os("AWS_REGION").is_none() {
            loader = loader.region(Region::from_static("us-east-1"));
        }
    }
    loader.load().await
}

/// What an SDK error means.
pub(super) fn problem<E>(error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("an error without a name");
            let status = service.raw().status().as_u16();
            let said = match service.err().message() {
                Some(message) => format!("{code}: {message}"),
                None => format!("{code} (HTTP {status})"),
            };
            Problem { passes: status >= 500 || status == 429 || passes(code), said }
        }
        SdkError::ConstructionFailure(_) => Problem { passes: false, said: root(error) },
        _ => Problem { passes: true, said: root(error) },
    }
}

/// Whether an error of this name is one of load, and passes.
pub(super) fn passes(code: &str) -> bool {
    ["Throughput", "Throttl", "LimitExceeded", "OverLimit", "Internal", "Unavailable", "SlowDown"]
        .iter()
        .any(|part| code.contains(part))
}

/// The innermost cause: the SDK's own words for the outer ones say little.
fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
