//! Builds what a call over HTTP is made of: of the `http` sink, and of `enrich`.

use super::address;
use super::problem::Problems;
use super::section::{Section, Value};
use super::{HttpAuth, HttpBody, HttpConfig};

/// The `http` sink.
pub(crate) fn sink(section: &Section, problems: &mut Problems<'_>) -> Option<HttpConfig> {
    let mut http = common(section, problems);
    let idempotency_header = idempotency_header(section, problems);
    let http = http.as_mut()?;
    section.word("method")?.clone_into(&mut http.method);
    let batch = section.section("batch")?;
    http.events_max = batch.count("events_max")?;
    http.bytes_max = batch.count("bytes_max")?;
    http.body = match batch.word("body")? {
        "ndjson" => HttpBody::Ndjson,
        _ => HttpBody::Array,
    };
    http.failures = match batch.entry("failures") {
        Some(_) => Some(batch.path("failures")?.clone()),
        None => None,
    };
    http.idempotency_header = idempotency_header?;
    if let Some(name) = http.idempotency_header.clone() {
        refuse_second(section, http, &name, "idempotency_header", problems)?;
    }
    if http.events_max == 1 {
        for key in ["body", "failures"] {
            if batch.is_written(key) {
                let message = format!("`{key}` does nothing: a call has one event");
                problems.warn(batch.name_of(key), message, "add `events_max`, or take it out");
            }
        }
    }
    Some(http.clone())
}

/// The service of an `enrich`.
pub(crate) fn enrich(section: &Section, problems: &mut Problems<'_>) -> Option<HttpConfig> {
    let mut http = common(section, problems)?;
    let batch = section.section("batch")?;
    http.events_max = batch.count("events_max")?;
    http.bytes_max = batch.count("bytes_max")?;
    http.idempotency_header = None;
    Some(http)
}

/// What both have.
fn common(section: &Section, problems: &mut Problems<'_>) -> Option<HttpConfig> {
    let headers = headers(section, problems);
    let auth = auth(section, problems);
    let mut http = HttpConfig::new(section.text("url")?.to_owned());
    http.headers = headers?;
    http.auth = auth?;
    if section.entry("rate").is_some() {
        http.calls_per_second_max = Some(section.count("rate")?);
    }
    http.connections_max = section.count("connections_max")?;
    http.timeout = section.duration("timeout")?;
    if section.entry("ca_file").is_some() {
        http.ca_file = Some(problems.source.base_dir.join(section.text("ca_file")?));
    }
    if let HttpAuth::ApiKey { header, .. } | HttpAuth::Hmac { header, .. } = &http.auth {
        let header = header.clone();
        refuse_second(section, &http, &header, "auth", problems)?;
    }
    let in_the_open = !matches!(http.auth, HttpAuth::None | HttpAuth::Hmac { .. });
    if in_the_open && address::is_open(&http.url) {
        let message = "`auth` goes over the network in plain text";
        problems.warn(section.name_of("url"), message, "use an `https://` address");
    }
    Some(http)
}

/// A header that the program sets must not stand under `headers`, too.
fn refuse_second(
    section: &Section,
    http: &HttpConfig,
    name: &str,
    by: &str,
    problems: &mut Problems<'_>,
) -> Option<()> {
    if !http.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)) {
        return Some(());
    }
    let written = section.by_type("headers").unwrap_or_default();
    let found = written.iter().find(|(header, ..)| header.eq_ignore_ascii_case(name));
    let place = found.map_or(section.place, |(_, place, _)| *place);
    problems
        .add(place, format!("`{name}` is set by `{by}`, too"))
        .help("take it out here, or give the other one another name");
    None
}

fn headers(section: &Section, problems: &mut Problems<'_>) -> Option<Vec<(String, String)>> {
    if section.entry("headers").is_none() {
        return Some(Vec::new());
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut right = true;
    for (name, place, checked) in section.by_type("headers")? {
        if let Some((message, help)) = address::header_name_mistake(name) {
            problems.add(*place, message).help(help);
            right = false;
        } else if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            let message = format!("`{name}` stands here twice");
            problems.add(*place, message).help("upper and lower case are the same: keep one");
            right = false;
        }
        match &checked.value {
            Value::Text(value) if address::is_header_value(value) => {
                headers.push((name.clone(), value.clone()));
            }
            Value::Text(_) => {
                let message = format!("the value of `{name}` can't be sent in a header");
                problems.add(checked.place, message).help(HEADER_VALUE_HELP);
                right = false;
            }
            _ => right = false,
        }
    }
    right.then_some(headers)
}

const HEADER_VALUE_HELP: &str = "visible ASCII characters and blanks between them fit; no line ends (a secret from a file \
     often has one)";

#[allow(clippy::option_option)] // the outer one: whether it is right
fn idempotency_header(section: &Section, problems: &mut Problems<'_>) -> Option<Option<String>> {
    let name = section.text("idempotency_header")?;
    if name == "none" {
        return Some(None);
    }
    header_name(section, "idempotency_header", problems).map(Some)
}

/// The name of a header under `key`.
fn header_name(section: &Section, key: &str, problems: &mut Problems<'_>) -> Option<String> {
    let name = section.text(key)?;
    if let Some((message, help)) = address::header_name_mistake(name) {
        problems.add(section.place_of(key), message).help(help);
        return None;
    }
    Some(name.to_owned())
}

/// A secret that goes into a header.
fn header_secret(section: &Section, key: &str, problems: &mut Problems<'_>) -> Option<String> {
    let value = section.text(key)?;
    if !address::is_header_value(value) {
        let message = format!("`{}.{key}` can't be sent in a header", section.table.path);
        let message = message.replace("sink.http.", "");
        problems.add(section.place_of(key), message).help(HEADER_VALUE_HELP);
        return None;
    }
    Some(value.to_owned())
}

fn auth(section: &Section, problems: &mut Problems<'_>) -> Option<HttpAuth> {
    if section.entry("auth").is_none() {
        return Some(HttpAuth::None);
    }
    let auth = section.section("auth")?;
    let kind = auth.entries.first()?.key.name;
    let section = auth.section(kind)?;
    let text = |key: &str| section.text(key).map(str::to_owned);
    Some(match kind {
        "basic" => {
            let user = text("user")?;
            if user.contains(':') {
                problems
                    .add(section.place_of("user"), "a user's name has no `:`")
                    .help("the `:` divides it from the password");
                return None;
            }
            HttpAuth::Basic { user, password: text("password")? }
        }
        "bearer" => HttpAuth::Bearer { token: header_secret(section, "token", problems)? },
        "api_key" => HttpAuth::ApiKey {
            header: header_name(section, "header", problems)?,
            value: header_secret(section, "value", problems)?,
        },
        "oauth" => {
            let token_url = text("token_url")?;
            if address::is_open(&token_url) {
                let message = "the client's secret goes over the network in plain text";
                let place = section.name_of("token_url");
                problems.warn(place, message, "use an `https://` address");
            }
            HttpAuth::OAuth {
                token_url,
                client_id: text("client_id")?,
                client_secret: text("client_secret")?,
                scope: match section.entry("scope") {
                    Some(_) => Some(text("scope")?),
                    None => None,
                },
            }
        }
        _ => HttpAuth::Hmac {
            header: header_name(section, "header", problems)?,
            secret: text("secret")?,
        },
    })
}
