//! P8: a web page must not be able to post into a local queue.

use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;

/// Which hosts a request may name.
pub(crate) struct HostCheck {
    names: Vec<String>,
    port: u16,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostProblem {
    /// It comes from a web page.
    Origin,
    /// It names another host, here.
    Host(String),
    /// It names none, or two.
    Missing,
}

impl HostProblem {
    /// What to tell the client.
    pub(crate) fn text(&self, port: u16) -> String {
        match self {
            Self::Origin => {
                "requests with an Origin header are refused: a web page must not reach \
                             a local broker"
                    .into()
            }
            Self::Host(host) => format!(
                "host `{host}` is refused: use localhost:{port}, 127.0.0.1:{port} or [::1]:{port}, \
                 or list the name in the gateway's host names"
            ),
            Self::Missing => "a request must name its host exactly once".into(),
        }
    }
}

impl HostCheck {
    /// `names` beside the loopback ones, each with the listener's `port`.
    pub(crate) fn new(names: &[String], port: u16) -> Self {
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(String::from);
        let names = loopback.into_iter().chain(names.iter().cloned()).collect();
        Self { names, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The host that a request names, with its port; it is in the URLs of answers.
    ///
    /// # Errors
    /// [`HostProblem`].
    pub(crate) fn check<'a>(&self, request: &'a Parts) -> Result<&'a str, HostProblem> {
        if request.headers.contains_key(ORIGIN) {
            return Err(HostProblem::Origin);
        }
        // HTTP/2 has it in `:authority`, and so has an HTTP/1.1 request in absolute form.
        let authority = request.uri.authority().map(|authority| authority.as_str());
        let mut headers = request.headers.get_all(HOST).iter();
        let header = headers.next();
        if headers.next().is_some() {
            return Err(HostProblem::Missing);
        }
        let header = match header {
            Some(value) => Some(value.to_str().map_err(|_| HostProblem::Host("?".into()))?),
            None => None,
        };
        for host in [authority, header].into_iter().flatten() {
            if !self.allows(host) {
                return Err(HostProblem::Host(host.chars().take(80).collect()));
            }
        }
        authority.or(header).ok_or(HostProblem::Missing)
    }

    fn allows(&self, host: &str) -> bool {
        let bracket = host.rfind(']').unwrap_or(0);
        let (name, port) = match host.rfind(':') {
            Some(colon) if colon > bracket => (host.get(..colon), host.get(colon + 1..)),
            _ => (Some(host), Some("80")),
        };
        let (Some(name), Some(port)) = (name, port) else { return false };
        // `parse` alone would take `+80` as well.
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse() == Ok(self.port)
            && self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: hyper::http::request::Builder) -> Result<String, HostProblem> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        HostCheck::new(&["broker.test".into()], 4566).check(&parts).map(String::from)
    }

    fn host(host: &str) -> Result<String, HostProblem> {
        check(hyper::Request::builder().uri("/").header("host", host))
    }

    #[test]
    fn p8_only_names_of_this_machine_with_the_listeners_port() {
        for good in
            ["localhost:4566", "127.0.0.1:4566", "[::1]:4566", "LocalHost:4566", "broker.test:4566"]
        {
            assert_eq!(host(good), Ok(good.to_string()));
        }
        for bad in [
            "localhost",
            "localhost:4567",
            "evil.test:4566",
            "localhost:4566:4566",
            "localhost:+4566",
            "[::1]",
            "::1:4566",
            "localhost.evil.test:4566",
            "",
            ":4566",
            "localhost:",
            "[::1]4566",
            "a@localhost:4566",
        ] {
            assert_eq!(host(bad), Err(HostProblem::Host(bad.into())), "{bad}");
        }
    }

    #[test]
    fn p8_an_origin_is_refused_whatever_it_is() {
        for origin in ["http://localhost:4566", "null", ""] {
            let request = hyper::Request::builder().header("host", "localhost:4566");
            assert_eq!(check(request.header("origin", origin)), Err(HostProblem::Origin));
        }
    }

    #[test]
    fn p8_the_target_and_the_header_must_both_be_allowed() {
        let target = |uri: &str| hyper::Request::builder().uri(uri.to_string());
        let good = "http://localhost:4566/";
        assert!(check(target(good)).is_ok());
        assert!(check(target(good).header("host", "localhost:4566")).is_ok());
        assert!(check(target(good).header("host", "evil.test:4566")).is_err());
        assert!(check(target("http://evil.test:4566/").header("host", "localhost:4566")).is_err());
        assert_eq!(check(target("/")), Err(HostProblem::Missing));
        let twice = target("/").header("host", "localhost:4566").header("host", "localhost:4566");
        assert_eq!(check(twice), Err(HostProblem::Missing));
    }
}
