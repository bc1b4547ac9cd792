//! What the sources behind an `endpoint:` share: the SDK's settings, one small runtime, and how
//! refusals are named and waited out.

mod backoff;
mod refusal;

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use event::source::SourceError;
use tokio::runtime::{Builder, Runtime};

pub(crate) use backoff::Backoff;
pub(crate) use refusal::{Refusal, refusal};

/// Threads that do the network's work for all sources of the process.
const THREADS: usize = 2;
/// One try of one call takes at most so long; a long poll is within it.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// Where nothing else says so.
const REGION: &str = "us-east-1";

/// Which broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The cloud's.
    Aws {
        /// `None`: that of the environment.
        region: Option<String>,
    },
    /// Whoever speaks the protocol at this address.
    Url {
        /// `http://…` or `https://…`.
        url: String,
        /// `None`: that of the environment, else `us-east-1`.
        region: Option<String>,
    },
}

/// The runtime that all sources behind endpoints share.
pub(crate) fn runtime() -> Result<&'static Runtime, SourceError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("endpoint")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| SourceError::Io {
        what: "endpoints: no threads".into(),
        error: io::Error::other(error.clone()),
    })
}

/// The SDK's settings for an endpoint. Credentials come from the usual places; an address gets
/// some that mean nothing where the environment has none, since most emulators want none.
pub(crate) async fn sdk_config(endpoint: &Endpoint) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(ATTEMPT_MAX)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
    let (url, region) = match endpoint {
        Endpoint::Aws { region } => (None, region),
        Endpoint::Url { url, region } => (Some(url), region),
    };
    let mut loader = match region {
        Some(region) => loader.region(Region::new(region.clone())),
        None if url.is_some() && !has("AWS_REGION") && !has("AWS_DEFAULT_REGION") => {
            loader.region(Region::from_static(REGION))
        }
        None => loader,
    };
    if let Some(url) = url {
        loader = loader.endpoint_url(url);
        let known = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"];
        if !known.into_iter().any(has) {
            let none = Credentials::new("onceflow", "onceflow", None, None, "onceflow");
            loader = loader.credentials_provider(none);
        }
    }
    loader.load().await
}

fn has(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
