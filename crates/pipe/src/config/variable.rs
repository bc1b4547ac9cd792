//! `${NAME}`: environment variables in values.

/// `{` and `}` of a variable while the YAML is parsed: inside `{ }` and `[ ]` YAML would take the
/// real ones for its own. They come from Unicode's private use area and are one character each, so
/// that columns stay.
const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';

/// Hides the braces of `${…}` from the YAML parser. A `${` without `}` in its line stays.
pub(crate) fn hide(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        hidden.push_str(before);
        let inner = found.get(2..).unwrap_or("");
        let end = inner.find(|c: char| c.is_whitespace() || c == '}');
        match end {
            Some(end) if inner.get(end..).is_some_and(|tail| tail.starts_with('}')) => {
                hidden.push('$');
                hidden.push(OPEN);
                hidden.push_str(inner.get(..end).unwrap_or(""));
                hidden.push(CLOSE);
                rest = inner.get(end + 1..).unwrap_or("");
            }
            _ => {
                hidden.push_str("${");
                rest = inner;
            }
        }
    }
    hidden.push_str(rest);
    hidden
}

/// Takes [`hide`] back.
pub(crate) fn show(text: &str) -> String {
    text.replace(OPEN, "{").replace(CLOSE, "}")
}

/// What is wrong with a variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VariableProblem {
    /// Offset into the value, in characters.
    pub(crate) offset: usize,
    /// Characters.
    pub(crate) width: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// Replaces `${NAME}` by what `env` says; `$${` stands for `${`.
pub(crate) fn expand(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Vec<VariableProblem>> {
    let mut out = String::with_capacity(text.len());
    let mut problems = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        let inner = found.get(2..).unwrap_or("");
        if let Some(kept) = before.strip_suffix('$') {
            out.push_str(kept);
            out.push_str("${");
            rest = inner;
            continue;
        }
        out.push_str(before);
        let offset = text.chars().count() - found.chars().count();
        let Some(end) = inner.find('}') else {
            problems.push(VariableProblem {
                offset,
                width: 2,
                message: "`${` begins a variable, but no `}` follows".to_owned(),
                help: "write `${NAME}`, or `$${` for a plain `${`".to_owned(),
            });
            break;
        };
        let name = inner.get(..end).unwrap_or("");
        match value(name, env) {
            Ok(value) => out.push_str(&value),
            Err((message, help)) => {
                let width = name.chars().count() + 3;
                problems.push(VariableProblem { offset, width, message, help });
            }
        }
        rest = inner.get(end + 1..).unwrap_or("");
    }
    out.push_str(rest);
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn value(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, (String, String)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err((
            if name.is_empty() {
                "`${}` names no variable".to_owned()
            } else {
                format!("`{name}` can't name an environment variable")
            },
            "a name has letters, digits and `_`; there are no defaults like `${A:-b}`; write \
             `$${` for a plain `${`"
                .to_owned(),
        ));
    }
    env(name).ok_or_else(|| {
        (
            format!("the environment variable `{name}` isn't set"),
            format!("set it: {name}=… onceflow …; or write `$${{` for a plain `${{`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "A").then(|| "x".to_owned())
    }

    #[test]
    fn hiding_keeps_columns_and_can_be_taken_back() {
        for text in ["${A}", "a${A}b${B}", "${", "${A b}", "$${A}", "é${A}", "${A:-b}"] {
            let hidden = hide(text);
            assert_eq!(hidden.chars().count(), text.chars().count());
            assert_eq!(show(&hidden), text);
        }
        assert!(!hide("{c: ${A}}").contains("${"));
    }

    #[test]
    fn variables_are_replaced_once_and_escapes_stay() {
        let expand = |text| expand(text, &env);
        assert_eq!(expand("a${A}b${A}"), Ok("axbx".to_owned()));
        assert_eq!(expand("$${A} ${A} $x $"), Ok("${A} x $x $".to_owned()));
        assert_eq!(expand("é ${B}").unwrap_err()[0].offset, 2);
        assert_eq!(expand("${B} ${1}").unwrap_err().len(), 2);
        assert!(expand("${A").is_err() && expand("${}").is_err() && expand("${A:-b}").is_err());
    }
}
