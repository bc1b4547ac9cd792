//! Message attributes as they come and go.

use std::collections::BTreeMap;

use broker::queues::MessageAttribute;
use bytes::Bytes;
use serde::Deserialize;

use super::error::{Kind, SqsError};
use super::message::has_bad_characters;
use crate::wire::{Out, Text};

const ATTRIBUTES_MAX: usize = 10;
const NAME_BYTES_MAX: usize = 256;

/// Attributes as given.
pub(super) type Given<'a> = BTreeMap<Text<'a>, GivenValue<'a>>;

/// A value as given.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GivenValue<'a> {
    #[serde(borrow)]
    pub(super) data_type: Option<Text<'a>>,
    pub(super) string_value: Option<Text<'a>>,
    binary_value: Option<Text<'a>>,
    string_list_values: Option<Vec<Text<'a>>>,
    binary_list_values: Option<Vec<Text<'a>>>,
}

/// The attributes, checked; values are slices of `request` where they can be.
pub(super) fn check(given: &Given<'_>, request: &Bytes) -> Result<Vec<MessageAttribute>, SqsError> {
    if given.len() > ATTRIBUTES_MAX {
        return Err(bad(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            given.len()
        )));
    }
    given.iter().map(|(name, value)| check_one(name, value, request)).collect()
}

fn check_one(
    name: &str,
    value: &GivenValue<'_>,
    request: &Bytes,
) -> Result<MessageAttribute, SqsError> {
    check_name(name)?;
    // There is at most one empty list in what some SDKs send.
    if [&value.string_list_values, &value.binary_list_values]
        .iter()
        .any(|list| list.as_ref().is_some_and(|list| !list.is_empty()))
    {
        let message = "Message attribute list values are not supported.";
        return Err(SqsError::new(Kind::UnsupportedOperation, message));
    }
    let data_type = value.data_type.as_deref().unwrap_or_default();
    if data_type.is_empty() {
        return Err(bad(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    let kind = data_type.split('.').next().unwrap_or_default();
    let empty = || {
        bad(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{data_type}'."
        ))
    };
    let bytes = match kind {
        "String" | "Number" => {
            let text = value.string_value.as_ref().filter(|text| !text.is_empty());
            let text = text.ok_or_else(empty)?;
            if kind == "Number" && !is_number(text) {
                return Err(bad(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
            if has_bad_characters(text) {
                let message = format!("Invalid characters in the message attribute '{name}'.");
                return Err(SqsError::new(Kind::InvalidMessageContents, message));
            }
            text.bytes(request)
        }
        "Binary" => {
            let text = value.binary_value.as_ref().filter(|text| !text.is_empty());
            let bytes = base64_simd::STANDARD.decode_to_vec(text.ok_or_else(empty)?.as_bytes());
            bytes.map(Bytes::from).map_err(|_| {
                bad(format!("The value of the message attribute '{name}' is not base64."))
            })?
        }
        _ => {
            return Err(bad(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of \
                 supported type prefixes is Binary, Number, and String."
            )));
        }
    };
    Ok(MessageAttribute { name: name.into(), data_type: data_type.into(), value: bytes })
}

fn check_name(name: &str) -> Result<(), SqsError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let reserved = ["aws.", "amazon."].iter().any(|prefix| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(good) || reserved || dots {
        return Err(bad(format!(
            "Message (user) attribute name '{name}' is invalid: 1 to 256 letters, digits, _, - and \
             single dots inside, not beginning with AWS. or Amazon."
        )));
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    let digits = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    text.bytes().all(digits) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn bad(message: String) -> SqsError {
    SqsError::new(Kind::InvalidParameterValue, message)
}

/// What attributes count in a message's size.
pub(super) fn size(attributes: &[MessageAttribute]) -> usize {
    let size = |of: &MessageAttribute| of.name.len() + of.data_type.len() + of.value.len();
    attributes.iter().map(size).sum()
}

/// Whether an attribute is asked for: by name, by `prefix.*`, or by `All` or `.*`.
pub(super) fn is_wanted(name: &str, wanted: &[Text<'_>]) -> bool {
    wanted.iter().any(|wanted| {
        let wanted: &str = wanted;
        wanted == "All"
            || wanted == ".*"
            || wanted == name
            || wanted.strip_suffix(".*").is_some_and(|prefix| {
                name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
            })
    })
}

/// The attributes as JSON.
pub(super) fn write<'a>(out: &mut Out, attributes: impl IntoIterator<Item = &'a MessageAttribute>) {
    out.raw("{").list(attributes, |out, attribute| {
        out.text(&attribute.name).raw(":{\"DataType\":").text(&attribute.data_type);
        match std::str::from_utf8(&attribute.value) {
            Ok(text) if !attribute.data_type.starts_with("Binary") => {
                out.raw(",\"StringValue\":").text(text);
            }
            _ => {
                out.raw(",\"BinaryValue\":").base64(&attribute.value);
            }
        }
        out.raw("}");
    });
    out.raw("}");
}
