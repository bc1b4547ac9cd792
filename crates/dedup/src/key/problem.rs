//! Why an event has no key.

use event::json::NoCanonicalForm;

/// Why an event has no key. The number is the index of the key's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The field isn't there.
    #[error("key field {0} is missing")]
    Missing(usize),
    /// The field is null.
    #[error("key field {0} is null")]
    Null(usize),
    /// The field is an object or an array.
    #[error("key field {0} is an object or an array, not a string, number or bool")]
    NotScalar(usize),
    /// The field is a string with half of a surrogate pair: no text.
    #[error("key field {0} holds half of a surrogate pair, which is no text")]
    NotText(usize),
    /// The field is a number beyond what is compared by value.
    #[error("key field {0} is a number too long to be compared by value")]
    NumberTooBig(usize),
    /// The key is the whole body, and that has no canonical form.
    #[error("the body has no canonical form: {0}")]
    Body(NoCanonicalForm),
    /// The key is the id that the broker gave, and there is none.
    #[error("its source gives the event no id of its own")]
    NoBrokerId,
}

impl KeyProblem {
    /// The stable name of the rule, for counters and the rejected file.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing(_) => "key_missing",
            Self::Null(_) => "key_null",
            Self::NotScalar(_) => "key_not_scalar",
            Self::NotText(_) => "key_not_text",
            Self::NumberTooBig(_) => "key_number_too_big",
            Self::Body(NoCanonicalForm::Json(_)) => "key_body_not_json",
            Self::Body(NoCanonicalForm::NotText(_)) => "key_body_not_text",
            Self::Body(NoCanonicalForm::NumberTooBig(_)) => "key_body_number_too_big",
            Self::Body(NoCanonicalForm::NameTwice(_)) => "key_body_name_twice",
            Self::NoBrokerId => "key_no_broker_id",
        }
    }

    /// The index of the field, where the key is made of fields.
    #[must_use]
    pub const fn field(self) -> Option<usize> {
        match self {
            Self::Missing(field)
            | Self::Null(field)
            | Self::NotScalar(field)
            | Self::NotText(field)
            | Self::NumberTooBig(field) => Some(field),
            Self::Body(_) | Self::NoBrokerId => None,
        }
    }
}
