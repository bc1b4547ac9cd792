//! JSON as the tests compare it: numbers as written, members in order, names as often as they came.

use event::json::{Kind, Raw};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum J {
    Null,
    Bool(bool),
    /// As written.
    Num(String),
    Str(String),
    Arr(Vec<J>),
    Obj(Vec<(String, J)>),
}

impl J {
    pub fn parse(text: &str) -> J {
        J::of(Raw::new(text.as_bytes()))
    }

    pub fn of(raw: Raw<'_>) -> J {
        let text = || std::str::from_utf8(raw.bytes()).unwrap().to_owned();
        match raw.kind() {
            Kind::Null => J::Null,
            Kind::Bool => J::Bool(raw.as_bool().unwrap()),
            Kind::Number => J::Num(text()),
            Kind::String => {
                J::Str(raw.as_str().map_or_else(|| format!("raw:{}", text()), |s| s.into_owned()))
            }
            Kind::Array => J::Arr(raw.elements().map(J::of).collect()),
            Kind::Object => {
                let name = |name: Raw<'_>| match J::of(name) {
                    J::Str(name) => name,
                    other => panic!("{other:?}"),
                };
                J::Obj(raw.members().map(|(n, value)| (name(n), J::of(value))).collect())
            }
        }
    }

    pub fn write(&self) -> String {
        match self {
            J::Null => "null".into(),
            J::Bool(value) => value.to_string(),
            J::Num(text) => text.clone(),
            J::Str(text) => serde_json::to_string(text).unwrap(),
            J::Arr(items) => {
                format!("[{}]", items.iter().map(J::write).collect::<Vec<_>>().join(","))
            }
            J::Obj(members) => {
                let member = |(name, value): &(String, J)| {
                    format!("{}:{}", serde_json::to_string(name).unwrap(), value.write())
                };
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// What of it must not get lost: members that are null may, and so may how a number is written.
    pub fn normal(&self) -> J {
        match self {
            J::Num(text) => J::Num(number(text)),
            J::Arr(items) => J::Arr(items.iter().map(J::normal).collect()),
            J::Obj(members) => {
                let kept = members.iter().filter(|(_, value)| *value != J::Null);
                let mut kept: Vec<_> =
                    kept.map(|(name, value)| (name.clone(), value.normal())).collect();
                kept.sort();
                J::Obj(kept)
            }
            other => other.clone(),
        }
    }
}

/// Integers of 64 bits as they are, other numbers as the nearest double, the rest as written.
fn number(text: &str) -> String {
    if let Ok(value) = text.parse::<i64>()
        && text != "-0"
    {
        return value.to_string();
    }
    let integer = !text.contains(['.', 'e', 'E']);
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && (!integer || text == "-0") => match value as i64 {
            whole
                if whole as f64 == value
                    && whole.abs() <= 1 << 53
                    && (whole != 0 || value.is_sign_positive()) =>
            {
                whole.to_string()
            }
            _ => format!("{value:?}"),
        },
        _ => text.to_owned(),
    }
}
