//! The SDK's client, and the runtime that does its work.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use tokio::runtime::{Builder, Runtime};

use super::options::{DynamoEndpoint, DynamoOptions};
use super::time::StoreTime;

/// Threads that do the network's work for all stores of the process.
const THREADS: usize = 2;
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Where nothing else says so.
const REGION: &str = "us-east-1";

/// The runtime that all stores of this kind share; an error in words.
pub(super) fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("dynamodb")
            .enable_all()
            .build()
            .map_err(|error| format!("no threads: {error}"))
    });
    made.as_ref().map_err(Clone::clone)
}

/// A client that tries once: trying again is `call.rs`'s, which knows what it may cost.
pub(super) async fn client(options: &DynamoOptions, time: StoreTime) -> Client {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_MAX).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled());
    let is_url = matches!(options.endpoint, DynamoEndpoint::Url(_));
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    } else if is_url && !has("AWS_REGION") && !has("AWS_DEFAULT_REGION") {
        loader = loader.region(Region::from_static(REGION));
    }
    let known = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    if let Some((key, secret)) = &options.credentials {
        let given = Credentials::new(key, secret, None, None, "onceflow");
        loader = loader.credentials_provider(given);
    } else if is_url && !known.into_iter().any(has) {
        // Most emulators want some, and take any.
        let none = Credentials::new("onceflow", "onceflow", None, None, "onceflow");
        loader = loader.credentials_provider(none);
    }
    if let DynamoEndpoint::Url(url) = &options.endpoint {
        loader = loader.endpoint_url(url);
    }
    let config = aws_sdk_dynamodb::config::Builder::from(&loader.load().await);
    Client::from_conf(config.interceptor(time).build())
}

fn has(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
