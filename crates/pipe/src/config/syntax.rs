//! What YAML's parser complains of, in words that help.

use super::place::{Place, SourceText};

/// Place, message and help for a complaint of the parser at a line and column.
pub(crate) fn explain(
    source: &SourceText,
    at: (usize, usize),
    complaint: &str,
    unclosed: Option<Place>,
) -> (Place, String, Vec<String>) {
    let (line, column) = at;
    let text = source.line(line);
    let place = Place { line, column, width: 1 };
    let indent: String = text.chars().take_while(|c| c.is_whitespace()).collect();
    if let Some(tab) = indent.chars().position(|c| c == '\t')
        && complaint.contains("tab")
    {
        let place = Place { line, column: tab, width: 1 };
        return stop(place, "a tab can't indent YAML", &["indent with spaces"]);
    }
    if text.trim_end_matches(['\t', ' ']).contains('\t') && complaint.contains("whitespace") {
        let column = text.chars().position(|c| c == '\t').unwrap_or(column);
        let place = Place { line, column, width: 1 };
        return stop(place, "a tab stands where YAML wants a space", &["use spaces"]);
    }
    if complaint.contains("quoted scalar") || complaint.contains("unexpected eof") {
        return quoted(source, place, complaint, unclosed);
    }
    let about_a_character =
        complaint.contains("unknown anchor") || complaint.contains("unexpected character");
    if let (Some(open), false) = (unclosed, about_a_character) {
        return inside_flow(source, place, open);
    }
    if complaint.contains("mapping values are not allowed") {
        return misplaced_colon(place, text);
    }
    match complaint {
        c if c.contains("unknown anchor") => stop(
            Place {
                width: text.chars().skip(column).take_while(|c| !" ,]}".contains(*c)).count(),
                ..place
            },
            "`*` begins an alias, and nothing has this name",
            &["put text that begins with `*` into quotes; an anchor holds within its document"],
        ),
        c if c.contains("unexpected character") => {
            let found: String = text.chars().skip(column).take(1).collect();
            stop(place, format!("text can't begin with `{found}`"), &["put the text into quotes"])
        }
        c if c.contains("misplaced bracket") => {
            stop(place, "this bracket closes nothing", &["take it out"])
        }
        c if c.contains("did not find expected key")
            || c.contains("block collection")
            || c.contains("invalid indentation") =>
        {
            stop(
                place,
                "this line's indentation fits no line above",
                &["keys of one map, and the `-` of one list, begin in the same column"],
            )
        }
        c if c.contains("block sequence entries are not allowed") => stop(
            place,
            "a list with `-` can't begin here",
            &["put each `- …` on a line of its own, or write `[a, b]`"],
        ),
        c if c.contains("simple key expect") || c.contains("expected <document") => {
            no_colon(source, line)
        }
        c if c.contains("recursion") => {
            stop(place, "too many brackets in each other", &["no config needs that"])
        }
        c if c.contains("unprintable") => {
            stop(place, "a control character can't stand here", &["take it out"])
        }
        c => stop(place, format!("this isn't YAML: {c}"), &[]),
    }
}

fn stop(place: Place, message: impl Into<String>, help: &[&str]) -> (Place, String, Vec<String>) {
    (place, message.into(), help.iter().map(|&help| help.to_owned()).collect())
}

fn quoted(
    source: &SourceText,
    place: Place,
    complaint: &str,
    unclosed: Option<Place>,
) -> (Place, String, Vec<String>) {
    if complaint.contains("escape") || complaint.contains("hexadecimal") {
        let text = source.line(place.line);
        let width = text.chars().count().saturating_sub(place.column);
        return stop(
            Place { width, ..place },
            "an escape in these quotes has no meaning",
            &["inside `\"…\"` write `\\\\` for a backslash, or use '…', where it is plain"],
        );
    }
    if complaint.contains("unexpected eof")
        && let Some(open) = unclosed
    {
        return inside_flow(source, place, open);
    }
    if complaint.contains("trailing content") {
        return stop(
            place,
            "text follows the closing quote",
            &["put the whole text into quotes; a quote inside '…' is written ''"],
        );
    }
    stop(place, "this quote is never closed", &["close it on the same line"])
}

fn inside_flow(source: &SourceText, place: Place, open: Place) -> (Place, String, Vec<String>) {
    let text: Vec<char> = source.line(place.line).chars().collect();
    let before: String = text.iter().take(place.column).collect();
    let word_start = before.rfind([' ', ',', '{', '[']).map_or(0, |at| at + 1);
    let word = before.get(word_start..).unwrap_or("");
    if text.get(place.column) == Some(&'[') && word.starts_with('$') {
        let column = before.get(..word_start).unwrap_or("").chars().count();
        let rest = text.iter().skip(column).take_while(|c| !" ,}".contains(**c));
        let path: String = rest.collect();
        let width = path.chars().count();
        return stop(
            Place { column, width, ..place },
            "inside `{ }` and `[ ]` a path with an index needs quotes",
            &[&format!("write \"{path}\"")],
        );
    }
    let bracket: String = source.line(open.line).chars().skip(open.column).take(1).collect();
    let close = if bracket == "[" { "]" } else { "}" };
    let where_open = format!("line {}, column {}", open.line, open.column + 1);
    if place.line > open.line {
        return stop(
            Place { width: 1, ..open },
            format!("this `{bracket}` is never closed"),
            &[&format!("add the `{close}`")],
        );
    }
    if text.get(place.column) == Some(&':') {
        return stop(
            place,
            "this `:` makes a second value of one key",
            &[&format!(
                "text with `: ` in it needs quotes; a map inside needs its own `{{ }}` (the open `{bracket}` is at {where_open})"
            )],
        );
    }
    stop(
        place,
        format!("`,` or `{close}` was expected here"),
        &[&format!(
            "the `{bracket}` at {where_open} is still open; text with brackets or `, ` in it needs quotes"
        )],
    )
}

fn misplaced_colon(place: Place, text: &str) -> (Place, String, Vec<String>) {
    let before: String = text.chars().take(place.column).collect();
    if before.contains(": ") {
        return stop(
            place,
            "this `:` makes a second value of one key",
            &[
                "text with `: ` in it needs quotes; a map inside goes into `{ }` or onto the next line, indented",
            ],
        );
    }
    stop(
        Place { column: 0, width: before.chars().count(), ..place },
        "a key can't stand here: the line before holds a value already",
        &[
            "check the indentation of this line, and that the line before ends with `:` if this one belongs to it",
        ],
    )
}

fn no_colon(source: &SourceText, line: usize) -> (Place, String, Vec<String>) {
    // The parser notices at the next line: the one to blame has no `: `.
    let blamed = (1..=line.min(source.line_count()))
        .rev()
        .find(|&number| {
            let text = source.line(number).trim();
            !text.is_empty() && !text.starts_with('#') && !text.contains(": ")
        })
        .unwrap_or(line);
    let text = source.line(blamed);
    let column = text.chars().take_while(|c| c.is_whitespace()).count();
    let place = Place { line: blamed, column, width: text.trim().chars().count() };
    stop(place, "this line has no `key: value`", &["put `: ` (with a blank) after the key"])
}
