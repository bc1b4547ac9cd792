//! Addresses of receivers over HTTP, and names and values of headers.

use std::net::{IpAddr, Ipv6Addr};

/// Most characters of an address.
const CHARS_MAX: usize = 2048;

const EXAMPLE: &str = "write it like `https://example.org/events`";

/// What is wrong with an address, after its name in a sentence, and the way out. Neither shows it.
pub(crate) fn mistake(url: &str) -> Option<(&'static str, &'static str)> {
    if url.chars().count() > CHARS_MAX {
        return Some(("is longer than 2048 characters", "shorten it"));
    }
    let Some(rest) = scheme_and_rest(url).map(|(_, rest)| rest) else {
        return Some(("doesn't begin with `http://` or `https://`", EXAMPLE));
    };
    if let Some(odd) = url.chars().find(|c| !c.is_ascii_graphic()) {
        let message = match odd {
            ' ' | '\t' | '\n' => "has a blank in it",
            _ => "has a character that isn't ASCII in it",
        };
        return Some((message, "write it percent-encoded, like `%20`; a host in Punycode"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return Some(("has a user in it", "take it out, and use `auth: { basic: … }`"));
    }
    let (host, port) = host_and_port(authority);
    let is_v6 = |host: &str| host.parse::<Ipv6Addr>().is_ok();
    let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => is_v6(host),
        None => {
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    };
    if !host_fits {
        return Some(("names no host", EXAMPLE));
    }
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Some(("has a port that is none", "a port is a number from 1 to 65535"));
    }
    None
}

/// Whether what is sent there can be read on the way: `http` to another machine.
pub(crate) fn is_open(url: &str) -> bool {
    let Some((scheme, rest)) = scheme_and_rest(url) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let (host, _) = host_and_port(authority);
    let host = host.trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    scheme == "http" && !here
}

/// The scheme in lower case, and what follows `://`.
fn scheme_and_rest(url: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some(("http", rest)),
        "https" => Some(("https", rest)),
        _ => None,
    }
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rfind(':') {
        Some(at) if authority.get(at..).is_some_and(|port| !port.contains(']')) => {
            (authority.get(..at).unwrap_or(""), authority.get(at + 1..))
        }
        _ => (authority, None),
    }
}

/// Headers that the program sets itself, or that belong to the connection.
const RESERVED_HEADERS: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with the name of a header, and the way out.
pub(crate) fn header_name_mistake(name: &str) -> Option<(String, &'static str)> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        let message = format!("`{}` can't be the name of a header", name.escape_debug());
        return Some((message, "it has letters, digits and `-`"));
    }
    if name.eq_ignore_ascii_case("authorization") {
        let message = "`authorization` is set by `auth`".to_owned();
        return Some((message, "write `auth: { bearer: … }` or another kind of `auth`"));
    }
    let reserved = RESERVED_HEADERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
    reserved.then(|| {
        (format!("`{}` is set by the program itself", name.to_ascii_lowercase()), "take it out")
    })
}

/// Whether a text can be the value of a header, or part of one.
pub(crate) fn is_header_value(value: &str) -> bool {
    let inner = value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t');
    inner && value.trim() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "http://a",
            "HTTPS://a.example:8443/x?y=%20#z",
            "http://127.0.0.1:9/",
            "http://[::1]:9/a",
            "http://a_b:1?x",
        ] {
            assert_eq!(mistake(good), None, "{good}");
        }
        for bad in [
            "a",
            "ftp://a",
            "http:/a",
            "http://",
            "http:///a",
            "http://:80",
            "http://a:0",
            "http://a:65536",
            "http://a:",
            "http://a b",
            "http://é",
            "http://u:p@a/",
            "http://[::1",
            "http://[x]/",
        ] {
            assert!(mistake(bad).is_some(), "{bad}");
        }
        for (url, open) in [
            ("http://a", true),
            ("https://a", false),
            ("http://localhost:1/", false),
            ("http://[::1]", false),
            ("http://127.9.9.9/", false),
            ("http://localhost.example/", true),
        ] {
            assert_eq!(is_open(url), open, "{url}");
        }
    }

    #[test]
    fn headers() {
        for good in ["x-team", "X_Team", "Idempotency-Key"] {
            assert_eq!(header_name_mistake(good), None, "{good}");
        }
        for bad in ["", "x team", "x:", "Host", "Content-Length", "AUTHORIZATION", "é", "a\r\nb"] {
            assert!(header_name_mistake(bad).is_some(), "{bad}");
        }
        assert!(is_header_value("a b") && is_header_value(""));
        assert!(!is_header_value("a\r\nb") && !is_header_value("é") && !is_header_value(" a"));
    }
}
