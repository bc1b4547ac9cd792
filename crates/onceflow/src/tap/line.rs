//! A settled event as one line of JSON.

use pipe::tap::TapEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a connection says beside events.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aside {
    /// Events that this connection missed so far, because it was slow.
    pub(super) dropped: Option<u64>,
    /// Why the request was refused.
    pub(super) error: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    pipe: &'a str,
    outcome: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    position: &'a str,
    received: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    /// In place of `payload` where that isn't JSON, or was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_text: Option<String>,
}

/// The event, with a newline.
pub(super) fn line(event: &TapEvent) -> Vec<u8> {
    let json = std::str::from_utf8(&event.payload).ok();
    // A payload may hold newlines between its fields; a line may not.
    let json = json.filter(|text| !text.contains('\n'));
    let payload: Option<&RawValue> = json.and_then(|text| serde_json::from_str(text).ok());
    let line = Line {
        pipe: &event.pipe,
        outcome: event.outcome.name(),
        event_type: &event.event_type,
        id: event.id.as_deref(),
        source: event.source.as_deref(),
        subject: event.subject.as_deref(),
        position: &event.position,
        received: console::show::time(event.received_ms),
        key: (event.key != 0).then(|| format!("{:032x}", event.key)),
        reason: event.reason.as_deref(),
        payload,
        payload_text: payload
            .is_none()
            .then(|| String::from_utf8_lossy(&event.payload).into_owned()),
    };
    let mut text = serde_json::to_vec(&line).unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &[u8]) -> TapEvent {
        TapEvent {
            pipe: "app".into(),
            outcome: event::Outcome::Rejected,
            event_type: "a\"b".into(),
            id: Some("7".into()),
            source: None,
            subject: None,
            key: 0,
            position: "f@7".into(),
            received_ms: 1_793_520_000_000,
            reason: Some("json_broken: x".into()),
            payload: payload.to_vec(),
        }
    }

    #[test]
    fn a_line_is_json_whatever_the_payload_is() {
        for payload in [&b"{\"a\": 1}"[..], b"{\"a\":", b"\xff\xfe", b"{\n\"a\":1}", b"", b"\0"] {
            let line = line(&event(payload));
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(json["type"], "a\"b");
            assert_eq!(json["id"], "7");
            let whole = payload == b"{\"a\": 1}";
            assert_eq!(json.get("payload").is_some(), whole, "{json}");
            assert_eq!(json.get("payload_text").is_some(), !whole, "{json}");
        }
    }
}
