//! A message as given to SendMessage and SendMessageBatch.

use broker::queues::{NewMessage, QueueAttributes};
use bytes::Bytes;

use super::error::{Kind, SqsError};
use super::{md5_sums, message_attributes};
use crate::wire::{Out, Text};

/// A message as given.
pub(super) struct Draft<'a, 'b> {
    pub(super) body: Option<&'b Text<'a>>,
    pub(super) delay_s: Option<i64>,
    pub(super) attributes: Option<&'b message_attributes::Given<'a>>,
    pub(super) system_attributes: Option<&'b message_attributes::Given<'a>>,
    pub(super) group: Option<&'b Text<'a>>,
    pub(super) deduplication: Option<&'b Text<'a>>,
}

/// The MD5s that a sender gets back.
pub(super) struct Sums {
    body: String,
    attributes: Option<String>,
    trace: Option<String>,
}

impl Draft<'_, '_> {
    /// The message, checked; what it holds are slices of `request` where they can be.
    pub(super) fn check(
        &self,
        queue: &QueueAttributes,
        request: &Bytes,
    ) -> Result<NewMessage, SqsError> {
        if self.deduplication.is_some() {
            return Err(not_for_standard("MessageDeduplicationId"));
        }
        let body = self.body.filter(|body| !body.is_empty());
        let body = body.ok_or_else(|| SqsError::missing("MessageBody"))?;
        if has_bad_characters(body) {
            let message = "Invalid characters found in the message body: valid are #x9, #xA, #xD, \
                           #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF.";
            return Err(SqsError::new(Kind::InvalidMessageContents, message));
        }
        let attributes = self.attributes.map(|given| message_attributes::check(given, request));
        let attributes = attributes.transpose()?.unwrap_or_default();
        let group = self.group.map(|group| group_id(group)).transpose()?;
        let message = NewMessage {
            body: body.bytes(request),
            attributes,
            delay_s: self.delay_s.map(delay).transpose()?,
            group,
            trace: self.trace()?,
        };
        let bytes_max = usize::try_from(queue.message_bytes_max).unwrap_or(usize::MAX);
        if size(&message) > bytes_max {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than \
                 {bytes_max} bytes."
            );
            return Err(SqsError::new(Kind::InvalidParameterValue, message));
        }
        Ok(message)
    }

    fn trace(&self) -> Result<Option<String>, SqsError> {
        let mut trace = None;
        for (name, value) in self.system_attributes.into_iter().flatten() {
            let text = value.string_value.as_deref().unwrap_or_default();
            let is_string = value.data_type.as_deref() == Some("String");
            if &**name != "AWSTraceHeader" || !is_string || text.is_empty() {
                let reason = "The only message system attribute is AWSTraceHeader, of type String";
                return Err(SqsError::invalid("MessageSystemAttributes", &**name, reason));
            }
            trace = Some(text.to_owned());
        }
        Ok(trace)
    }
}

fn delay(delay_s: i64) -> Result<u32, SqsError> {
    let good = u32::try_from(delay_s).ok().filter(|delay_s| *delay_s <= 900);
    good.ok_or_else(|| {
        SqsError::invalid("DelaySeconds", delay_s, "DelaySeconds must be >= 0 and <= 900")
    })
}

fn group_id(group: &str) -> Result<String, SqsError> {
    if (1..=128).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(group.to_owned());
    }
    let reason = "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length";
    Err(SqsError::invalid("MessageGroupId", group, reason))
}

/// A parameter that only FIFO queues take.
pub(super) fn not_for_standard(parameter: &str) -> SqsError {
    let message = format!(
        "The request include parameter that is not valid for this queue type: {parameter} is for \
         FIFO queues, which are not built."
    );
    SqsError::new(Kind::InvalidParameterValue, message)
}

/// What a message counts in its queue's `MaximumMessageSize`, and in a batch.
pub(super) fn size(message: &NewMessage) -> usize {
    message.body.len() + message_attributes::size(&message.attributes)
}

/// Whether there is a character that a message may not have.
pub(super) fn has_bad_characters(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Without a way out inside a piece, so that it is done many bytes at a time.
    let is_odd = |byte: u8| (byte < 0x20) & !matches!(byte, 9 | 10 | 13) | (byte == 0xef);
    let odd =
        bytes.chunks(256).any(|piece| piece.iter().fold(false, |odd, byte| odd | is_odd(*byte)));
    let is_bad = |letter: char| match letter {
        '\t' | '\n' | '\r' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        other => other < ' ',
    };
    odd && text.chars().any(is_bad)
}

impl Sums {
    /// The sums of each message.
    pub(super) fn of_all(messages: &[NewMessage]) -> Vec<Self> {
        let bodies = md5_sums::of_bodies(messages.iter().map(|message| &message.body[..]));
        let of = |(message, body): (&NewMessage, String)| {
            let attributes = &message.attributes;
            let attributes = (!attributes.is_empty()).then(|| md5_sums::of_attributes(attributes));
            Self { body, attributes, trace: message.trace.as_deref().map(md5_sums::of_trace) }
        };
        messages.iter().zip(bodies).map(of).collect()
    }

    /// As members of an answer.
    pub(super) fn write(&self, out: &mut Out) {
        out.raw("\"MD5OfMessageBody\":").quoted(&self.body);
        if let Some(sum) = &self.attributes {
            out.raw(",\"MD5OfMessageAttributes\":").quoted(sum);
        }
        if let Some(sum) = &self.trace {
            out.raw(",\"MD5OfMessageSystemAttributes\":").quoted(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_bad_characters;

    #[test]
    fn characters_that_a_message_may_not_have() {
        for good in [
            "",
            "a\tb\nc\rd",
            "\u{20}\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}",
            "\u{f000}",
            "\u{7f}",
        ] {
            assert!(!has_bad_characters(good), "{good:?}");
        }
        for bad in ["\u{0}", "\u{1}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            assert!(has_bad_characters(bad), "{bad:?}");
            assert!(has_bad_characters(&format!("{}{bad}", "x".repeat(1_000))), "{bad:?}");
        }
    }
}
