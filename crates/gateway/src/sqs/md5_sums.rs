//! The MD5s that the SDKs check ("Calculating the MD5 message digest for message attributes" in the
//! developer guide of SQS).

use broker::queues::MessageAttribute;
use md5::{Digest, Md5};

use super::md5_lanes;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The MD5 of each body, in hex.
pub(super) fn of_bodies<'a>(bodies: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let bodies: Vec<_> = bodies.collect();
    md5_lanes::of_all(&bodies).iter().map(|sum| hex(sum)).collect()
}

/// The MD5 of attributes, in hex: by name, each as lengths and bytes of name, type and value.
pub(super) fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = &'a MessageAttribute>,
) -> String {
    let mut attributes: Vec<_> = attributes.into_iter().collect();
    attributes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut md5 = Md5::new();
    for attribute in attributes {
        let transport = if attribute.data_type.starts_with("Binary") { 2 } else { 1 };
        for (bytes, after) in [
            (attribute.name.as_bytes(), None),
            (attribute.data_type.as_bytes(), Some(transport)),
            (&attribute.value[..], None),
        ] {
            md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            md5.update(bytes);
            if let Some(transport) = after {
                md5.update([transport]);
            }
        }
    }
    hex(&md5.finalize())
}

/// The MD5 of a trace header, which is a system attribute of type String.
pub(super) fn of_trace(trace: &str) -> String {
    of_attributes([&MessageAttribute {
        name: "AWSTraceHeader".into(),
        data_type: "String".into(),
        value: bytes::Bytes::copy_from_slice(trace.as_bytes()),
    }])
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(DIGITS.get(usize::from(half)).copied().unwrap_or(b'0'));
    let mut hex = String::with_capacity(2 * bytes.len());
    hex.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, data_type: &str, value: &'static [u8]) -> MessageAttribute {
        let value = bytes::Bytes::from_static(value);
        MessageAttribute { name: name.into(), data_type: data_type.into(), value }
    }

    #[test]
    fn as_the_service_counts_them() {
        assert_eq!(of_bodies([&b"hello"[..]].into_iter()), ["5d41402abc4b2a76b9719d911017c592"]);
        // Test vector of the test suite of moto, taken from the service.
        let timestamp = attribute("timestamp", "Number", b"1493147359900");
        assert_eq!(of_attributes([&timestamp]), "235c5c510d26fb653d073faed50ae77c");
    }

    #[test]
    fn the_order_of_attributes_is_that_of_their_names() {
        let (a, b) = (attribute("a", "Binary", b"\x00"), attribute("b", "String", b"x"));
        assert_eq!(of_attributes([&a, &b]), of_attributes([&b, &a]));
    }
}
