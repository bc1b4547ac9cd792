//! Names of queues, and the URLs and ARNs that carry them.

use super::error::{Kind, SqsError};
use crate::options::GatewayOptions;

/// The queue that a URL names: its last segment. Host and account are not looked at, so that a URL
/// stays good when the port or the name of this machine changes.
pub(super) fn of_url(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}

/// The URL of a queue, as seen from a client that asked `host`.
pub(super) fn url(options: &GatewayOptions, host: &str, name: &str) -> String {
    format!("http://{host}/{}/{name}", options.account)
}

/// The ARN of a queue.
pub(super) fn arn(options: &GatewayOptions, name: &str) -> String {
    format!("arn:aws:sqs:{}:{}:{name}", options.region, options.account)
}

/// The queue that an ARN names; region and account must be these.
pub(super) fn of_arn<'a>(options: &GatewayOptions, arn: &'a str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':');
    let head = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let here = ["arn", "aws", "sqs", options.region.as_str(), options.account.as_str()];
    if head == here { parts.next().filter(|name| !name.is_empty()) } else { None }
}

/// Whether a queue may have this name: 1 to 80 letters, digits, `-`, `_`.
pub(super) fn check(name: &str) -> Result<(), SqsError> {
    if name.ends_with(".fifo") {
        let message = "FIFO queues (names that end in .fifo) are not built, only standard queues";
        return Err(SqsError::new(Kind::UnsupportedOperation, message));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=80).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    let message =
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
    Err(SqsError::new(Kind::InvalidParameterValue, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_arns_give_back_the_name() {
        let options = GatewayOptions::default();
        assert_eq!(of_url(&url(&options, "localhost:4566", "a-b_c")), "a-b_c");
        assert_eq!(of_url("https://sqs.eu-west-1.amazonaws.com/123456789012/q/"), "q");
        assert_eq!(of_url("plain"), "plain");
        assert_eq!(of_arn(&options, &arn(&options, "q")), Some("q"));
        for bad in
            ["", "q", "arn:aws:sqs:us-east-1:000000000000:", "arn:aws:sns:us-east-1:000000000000:q"]
        {
            assert_eq!(of_arn(&options, bad), None, "{bad}");
        }
    }
}
