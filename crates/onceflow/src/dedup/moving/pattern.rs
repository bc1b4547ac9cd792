//! What keys of a dump look like: text with names in braces, `event:{key}`.

/// A pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Pattern {
    /// Reads a pattern, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let after = after.get(1..).unwrap_or_default();
            let close = after.find('}').ok_or("a `{` without `}`")?;
            let name = after.get(..close).unwrap_or_default();
            if name.is_empty() {
                return Err("`{}` needs a name in it: {key}".into());
            }
            if before.is_empty() && matches!(pieces.last(), Some(Piece::Name(_))) {
                return Err(format!("nothing tells where `{{{name}}}` begins"));
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(Piece::Name(name.into()));
            rest = after.get(close + 1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        let pattern = Pattern(pieces);
        if pattern.names().next().is_none() {
            return Err("it has no `{key}`".into());
        }
        Ok(pattern)
    }

    /// Its names but for `type`, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) if name != "type" => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it has the event's type in it.
    pub(super) fn has_type(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Name(name) if name == "type"))
    }

    /// What stands for each name in a key, if it looks like this.
    pub(super) fn matches<'a>(&'a self, key: &str) -> Option<Vec<(&'a str, String)>> {
        let mut found = Vec::new();
        let mut rest = key;
        for (at, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Name(name) => {
                    let end = match self.0.get(at + 1) {
                        // What stands last may hold what stands between others.
                        Some(Piece::Text(text)) if at + 2 == self.0.len() => {
                            rest.len().checked_sub(text.len())?
                        }
                        Some(Piece::Text(text)) => rest.find(text.as_str())?,
                        _ => rest.len(),
                    };
                    found.push((name.as_str(), rest.get(..end)?.to_owned()));
                    rest = rest.get(end..)?;
                }
            }
        }
        (rest.is_empty() && found.iter().all(|(_, text)| !text.is_empty())).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn names_stand_for_what_is_between_the_text() {
        let read = |pattern: &str, key: &str| {
            let found = Pattern::parse(pattern)
                .unwrap()
                .matches(key)?
                .iter()
                .map(|(name, text)| format!("{name}={text}"))
                .collect::<Vec<_>>()
                .join(" ");
            Some(found)
        };
        assert_eq!(read("event:{key}", "event:a:b").as_deref(), Some("key=a:b"));
        assert_eq!(read("event:{key}", "other:a"), None);
        assert_eq!(read("{type}:{key}", "order:7").as_deref(), Some("type=order key=7"));
        assert_eq!(read("d:{a}:{b}:x", "d:1:2:3:x").as_deref(), Some("a=1 b=2:3"));
        assert_eq!(read("event:{key}", "event:"), None);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for wrong in ["event", "{a}{b}", "{", "{}", "{type}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
