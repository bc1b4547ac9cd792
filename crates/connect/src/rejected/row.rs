//! One row of the rejected file.

use std::io;

use event::batch::{Attribute, Rejection, Spilled};
use event::position::Offset;
use jiff::Timestamp;

/// Where an event came from.
pub(super) struct Origin<'a> {
    pub(super) pipe: &'a str,
    pub(super) source: &'a str,
    pub(super) shard: &'a str,
    pub(super) offset: Offset,
    pub(super) attributes: &'a [Attribute],
    pub(super) received_ms: i64,
}

/// Appends the row of an event whose payload is in memory.
pub(super) fn write(
    out: &mut Vec<u8>,
    rejection: Option<&Rejection>,
    origin: &Origin<'_>,
    raw: &[u8],
) {
    begin(out, rejection, origin, raw.len() as u64);
    match std::str::from_utf8(raw) {
        Ok(raw) => {
            out.extend_from_slice(br#","raw":"#);
            push_string(out, raw);
            out.extend_from_slice(b"}\n");
        }
        Err(_) => {
            out.extend_from_slice(br#","raw_base64":""#);
            push_base64(out, raw);
            end_spilled(out);
        }
    }
}

/// Appends the row of an event whose payload is in a file, up to the payload's base64.
pub(super) fn begin_spilled(
    out: &mut Vec<u8>,
    rejection: Option<&Rejection>,
    origin: &Origin<'_>,
    bytes: u64,
) {
    begin(out, rejection, origin, bytes);
    out.extend_from_slice(br#","raw_base64":""#);
}

/// Ends the row after the payload's base64.
pub(super) fn end_spilled(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"}\n");
}

fn begin(out: &mut Vec<u8>, rejection: Option<&Rejection>, origin: &Origin<'_>, bytes: u64) {
    let reason = rejection.map_or("unknown", |rejection| rejection.reason);
    let detail = rejection.map_or("", |rejection| rejection.detail.as_str());
    let received = Timestamp::from_millisecond(origin.received_ms).unwrap_or_default().to_string();
    let texts = [
        (r#"{"reason":"#, reason),
        (r#","detail":"#, detail),
        (r#","pipe":"#, origin.pipe),
        (r#","source":"#, origin.source),
        (r#","shard":"#, origin.shard),
        (r#","received":"#, &received),
    ];
    for (name, text) in texts {
        out.extend_from_slice(name.as_bytes());
        push_string(out, text);
    }
    // A number up to 64 bits; the longer ones of other brokers as text.
    let offset = match origin.offset.as_u64() {
        Some(offset) => format!(r#","offset":{offset}"#),
        None => format!(r#","offset":"{}""#, origin.offset),
    };
    out.extend_from_slice(offset.as_bytes());
    out.extend_from_slice(format!(r#","bytes":{bytes}"#).as_bytes());
    if !origin.attributes.is_empty() {
        push_attributes(out, origin.attributes);
    }
}

fn push_attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
    for (index, attribute) in attributes.iter().enumerate() {
        out.extend_from_slice(if index == 0 { br#","attributes":["# } else { b"," });
        out.extend_from_slice(br#"{"name":"#);
        push_string(out, &attribute.name);
        out.extend_from_slice(br#","type":"#);
        push_string(out, &attribute.data_type);
        match std::str::from_utf8(&attribute.value) {
            Ok(text) => {
                out.extend_from_slice(br#","value":"#);
                push_string(out, text);
            }
            Err(_) => {
                out.extend_from_slice(br#","value_base64":""#);
                push_base64(out, &attribute.value);
                out.push(b'"');
            }
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends a JSON string.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

/// Appends base64 with padding.
pub(super) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    base64_simd::STANDARD.encode_append(bytes, out);
}

/// Fills `part` as far as the payload goes.
pub(super) fn read_part(payload: &dyn Spilled, at: u64, part: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = part.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match payload.read_at(at + done as u64, rest) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if done == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(done) }
}
