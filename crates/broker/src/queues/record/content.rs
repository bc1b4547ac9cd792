//! What a message carries, as it stands in a record: checksum, body, attributes, group, trace.
//! It moves as it is when a segment is cleaned.

use bytes::Bytes;
use crc32c::crc32c;

use super::codec::{Decoder, Encoder};
use crate::queues::message::{MessageAttribute, NewMessage};

/// Bytes of the checksum in front.
const CHECKSUM_BYTES: usize = 4;

/// A message's content, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::queues) struct Content {
    pub(in crate::queues) body: Bytes,
    pub(in crate::queues) attributes: Vec<MessageAttribute>,
    pub(in crate::queues) group: Option<String>,
    pub(in crate::queues) trace: Option<String>,
}

/// Puts a message's content into a record.
pub(super) fn encode(into: &mut Encoder, message: &NewMessage) {
    let checksum = into.later();
    into.bytes(&message.body);
    into.u8(message.attributes.len() as u8);
    for one in &message.attributes {
        into.bytes(one.name.as_bytes());
        into.bytes(one.data_type.as_bytes());
        into.bytes(&one.value);
    }
    into.option(message.group.as_deref());
    into.option(message.trace.as_deref());
    let crc = crc32c(into.bytes.get(checksum..).unwrap_or_default());
    into.put(checksum, crc);
}

/// The content that `bytes` are; `None` if they aren't one as it was written.
pub(in crate::queues) fn decode(bytes: &Bytes) -> Option<Content> {
    let mut decoder = Decoder::new(bytes);
    let crc = decoder.u32()?;
    if crc32c(bytes.get(CHECKSUM_BYTES..)?) != crc {
        return None;
    }
    let body = bytes.slice_ref(decoder.bytes()?);
    let count = decoder.u8()?;
    let mut attributes = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        attributes.push(MessageAttribute {
            name: decoder.text()?.into(),
            data_type: decoder.text()?.into(),
            value: bytes.slice_ref(decoder.bytes()?),
        });
    }
    let group = decoder.option()?.map(Into::into);
    let trace = decoder.option()?.map(Into::into);
    decoder.is_at_end().then_some(Content { body, attributes, group, trace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_comes_back_and_every_flipped_bit_shows() {
        let message = NewMessage {
            body: Bytes::from_static(b"once"),
            attributes: vec![MessageAttribute {
                name: "kind".into(),
                data_type: "String".into(),
                value: Bytes::from_static(b"iot"),
            }],
            delay_s: Some(3),
            group: Some("g".into()),
            trace: None,
        };
        let mut encoder = Encoder::default();
        encode(&mut encoder, &message);
        let bytes = encoder.bytes;
        let content = decode(&Bytes::from(bytes.clone())).unwrap();
        assert_eq!((content.body, content.attributes), (message.body, message.attributes));
        assert_eq!((content.group, content.trace), (message.group, message.trace));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&Bytes::from(flipped)), None, "bit {bit}");
        }
    }
}
