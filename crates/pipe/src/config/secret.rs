//! Secrets that stand in a config are not shown when a line of it is.
//!
//! This looks at the line's text alone, so that it also holds for a file that isn't YAML yet.

/// Keys whose value is a secret, or would be if it stood one level deeper.
const KEYS: [&str; 11] = [
    "password",
    "token",
    "secret",
    "client_secret",
    "value",
    "authorization",
    "auth",
    "basic",
    "bearer",
    "oauth",
    "hmac",
];

/// What stands in place of each character.
const COVER: char = '*';

/// The line with every secret covered, character by character, so that columns stay.
pub(crate) fn hidden(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    for key in KEYS {
        cover_values(&mut chars, key);
    }
    cover_users(&mut chars);
    chars.into_iter().collect()
}

/// The line with `width` characters from `column` on covered.
pub(crate) fn covered(line: &str, column: usize, width: usize) -> String {
    let cover = |(at, c)| if (column..column + width).contains(&at) { COVER } else { c };
    line.chars().enumerate().map(cover).collect()
}

/// Covers what follows `key:`, unless it is a map or a variable.
fn cover_values(chars: &mut [char], key: &str) {
    let name: Vec<char> = key.chars().collect();
    let mut from = 0;
    while let Some(at) = find(chars, &name, from) {
        from = at + name.len();
        let word = |c: &char| c.is_alphanumeric() || *c == '_' || *c == '-';
        if at > 0 && chars.get(at - 1).is_some_and(word) {
            continue;
        }
        let mut value = from;
        if chars.get(value).is_some_and(|c| "\"'".contains(*c)) {
            value += 1; // the name is quoted
        }
        if chars.get(value) != Some(&':') {
            continue;
        }
        value += 1;
        while chars.get(value).is_some_and(|c| c.is_whitespace()) {
            value += 1;
        }
        let end = end_of_value(chars, value);
        let text: String = chars.get(value..end).unwrap_or_default().iter().collect();
        let inner = text.trim_matches(['"', '\'']);
        let harmless = inner.starts_with("${") && inner.ends_with('}');
        if !harmless && !text.starts_with(['{', '[', '|', '>']) {
            chars.iter_mut().take(end).skip(value).for_each(|c| *c = COVER);
        }
        from = end.max(from);
    }
}

/// Where a value ends that begins here: at its closing quote, else where a comment, the next key or
/// the map's end begins.
fn end_of_value(chars: &[char], start: usize) -> usize {
    if let Some(&quote @ ('"' | '\'')) = chars.get(start) {
        let escaped = |at: usize| quote == '"' && at > 0 && chars.get(at - 1) == Some(&'\\');
        let close =
            (start + 1..chars.len()).find(|&at| chars.get(at) == Some(&quote) && !escaped(at));
        return close.map_or(chars.len(), |at| at + 1);
    }
    let blank = |at: usize| chars.get(at).is_none_or(|c| c.is_whitespace());
    let mut variable = false;
    let mut end = start;
    while let Some(c) = chars.get(end) {
        match c {
            '{' if end > 0 && chars.get(end - 1) == Some(&'$') => variable = true,
            '}' if variable => variable = false,
            '}' | ']' => break,
            ',' if blank(end + 1) => break,
            '#' if end > 0 && blank(end - 1) => break,
            _ => {}
        }
        end += 1;
    }
    while end > start && blank(end - 1) {
        end -= 1;
    }
    end
}

/// Covers `user:password` in `http://user:password@host`.
fn cover_users(chars: &mut [char]) {
    let mark: Vec<char> = "://".chars().collect();
    let mut from = 0;
    while let Some(at) = find(chars, &mark, from) {
        from = at + mark.len();
        let end = (from..chars.len())
            .find(|&at| chars.get(at).is_some_and(|c| "/?# \"'".contains(*c)))
            .unwrap_or(chars.len());
        let sign = (from..end).rev().find(|&at| chars.get(at) == Some(&'@'));
        if let Some(sign) = sign {
            chars.iter_mut().take(sign).skip(from).for_each(|c| *c = COVER);
        }
    }
}

fn find(chars: &[char], wanted: &[char], from: usize) -> Option<usize> {
    let found = chars.get(from..)?.windows(wanted.len()).position(|window| window == wanted)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn secrets_are_covered_and_nothing_else() {
        for (line, shown) in [
            ("password: abc", "password: ***"),
            ("password: abc # mine", "password: *** # mine"),
            (
                "auth: { basic: { user: a, password: b,c } }",
                "auth: { basic: { user: a, password: *** } }",
            ),
            (
                r#"auth: { bearer: { "token": "a\"b" } }"#,
                r#"auth: { bearer: { "token": ****** } }"#,
            ),
            ("auth: { bearer: abc }", "auth: { bearer: *** }"),
            ("auth: abc", "auth: ***"),
            ("bearer: { token: ${TOKEN} }", "bearer: { token: ${TOKEN} }"),
            ("token: '${TOKEN}'", "token: '${TOKEN}'"),
            ("password: abc${REST}", "password: **********"),
            ("client_secret: a", "client_secret: *"),
            ("my_token: a", "my_token: a"),
            ("url: https://u:p@h/x", "url: https://***@h/x"),
            ("url: https://h/x@y", "url: https://h/x@y"),
            ("missing: pass", "missing: pass"),
            ("password:", "password:"),
            ("password: \"abc", "password: ****"),
        ] {
            assert_eq!(hidden(line), shown, "{line}");
            assert_eq!(hidden(line).chars().count(), line.chars().count());
        }
    }
}
