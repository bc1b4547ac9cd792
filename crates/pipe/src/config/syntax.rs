//! What YAML's parser complains of, in words that help.

use super::place::{Place, SourceText};

/// What the parser complained of.
pub(crate) struct Complaint<'a> {
    /// Its words.
    pub(crate) text: &'a str,
    /// Line and column where it stopped.
    pub(crate) at: (usize, usize),
    /// The line where its document begins.
    pub(crate) document_line: usize,
    /// The innermost `{` or `[` that is known to be open.
    pub(crate) unclosed: Option<Place>,
}

/// Place, message and help for a complaint.
pub(crate) fn explain(
    source: &SourceText,
    complaint: &Complaint<'_>,
) -> (Place, String, Vec<String>) {
    let (line, column) = complaint.at;
    let text = source.line(line);
    let place = Place { line, column, width: 1 };
    let says = |words: &str| complaint.text.contains(words);
    if let Some(found) = about_a_tab(text, line, complaint.text) {
        return found;
    }
    if says("quoted scalar") || says("unexpected eof") {
        return quoted(source, place, complaint.text, complaint.unclosed);
    }
    let first: String = text.chars().skip(column).take(1).collect();
    if says("unknown anchor") {
        let name = text.chars().skip(column).take_while(|c| !" ,]}".contains(*c));
        return stop(
            Place { width: name.count(), ..place },
            "`*` begins an alias, and nothing has this name",
            "put text that begins with `*` into quotes; an anchor holds within its document",
        );
    }
    if says("unexpected character") || says("anchor or alias") || says("a tag") || says("handle") {
        let message = format!("text can't begin with `{first}`");
        return stop(place, message, "put the text into quotes");
    }
    let in_brackets = ["flow", "misplaced", "illegal", "valid inside a block", "may not precede"]
        .into_iter()
        .any(says);
    let open = complaint.unclosed.or_else(|| {
        let open = open_bracket(source, complaint.document_line, complaint.at);
        open.filter(|_| in_brackets)
    });
    match open {
        Some(open) => inside_flow(source, place, open),
        None => outside_flow(source, place, complaint.text),
    }
}

/// A tab where YAML wants spaces.
fn about_a_tab(text: &str, line: usize, complaint: &str) -> Option<(Place, String, Vec<String>)> {
    if !complaint.contains("tab") && !complaint.contains("whitespace") {
        return None;
    }
    let column = text.chars().position(|c| c == '\t')?;
    let place = Place { line, column, width: 1 };
    if text.chars().take(column).all(char::is_whitespace) {
        Some(stop(place, "a tab can't indent YAML", "indent with spaces"))
    } else {
        Some(stop(place, "a tab stands where YAML wants a space", "use spaces"))
    }
}

/// The innermost bracket that is open at a position, by a look at the text: the parser may stop
/// before it has told of it. Quotes and comments are taken into account as far as one line shows
/// them.
fn open_bracket(source: &SourceText, first: usize, at: (usize, usize)) -> Option<Place> {
    let mut open: Vec<Place> = Vec::new();
    for line in first..=at.0 {
        let mut quote = None;
        let mut before = ' ';
        for (column, c) in source.line(line).chars().enumerate() {
            if (line, column) >= at {
                return open.pop();
            }
            match (quote, c) {
                (Some(mark), c) if c == mark => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if " [{,".contains(before) => quote = Some(c),
                (None, '#') if before == ' ' => break,
                (None, '{' | '[') => open.push(Place { line, column, width: 1 }),
                (None, '}' | ']') => {
                    open.pop();
                }
                _ => {}
            }
            before = c;
        }
    }
    open.pop()
}

fn outside_flow(
    source: &SourceText,
    place: Place,
    complaint: &str,
) -> (Place, String, Vec<String>) {
    let says = |words: &str| complaint.contains(words);
    if says("mapping values are not allowed") {
        return misplaced_colon(place, source.line(place.line));
    }
    if says("simple key expect") || says("expected <document") {
        return no_colon(source, place.line);
    }
    if says("expected key") || says("block collection") || says("invalid indentation") {
        let help = "keys of one map, and the `-` of one list, begin in the same column";
        return stop(place, "this line's indentation fits no line above", help);
    }
    if says("block sequence entries are not allowed") {
        let help = "put each `- …` on a line of its own, or write `[a, b]`";
        return stop(place, "a list with `-` can't begin here", help);
    }
    if says("misplaced bracket") {
        return stop(place, "this bracket closes nothing", "take it out");
    }
    if says("node content") {
        return stop(place, "a value is missing here", "write it, or quotes around it");
    }
    if says("comment intercepting") {
        let message = "a comment cuts this text in two";
        return stop(place, message, "put the comment above, or check the line before it");
    }
    if says("block scalar") {
        let message = "after `|` or `>` the text begins on the next line";
        return stop(place, message, "begin a new line, indented");
    }
    if says("recursion") {
        return stop(place, "too many brackets in each other", "no config needs that");
    }
    if says("unprintable") {
        return stop(place, "a control character can't stand here", "take it out");
    }
    let message = format!("this isn't YAML: {complaint}");
    stop(place, message, "put text with special characters into quotes")
}

fn stop(
    place: Place,
    message: impl Into<String>,
    help: impl Into<String>,
) -> (Place, String, Vec<String>) {
    (place, message.into(), vec![help.into()])
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
            "inside `\"…\"` write `\\\\` for a backslash, or use '…', where it is plain",
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
            "put the whole text into quotes; a quote inside '…' is written ''",
        );
    }
    stop(place, "this quote is never closed", "close it on the same line")
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
            format!("write \"{path}\""),
        );
    }
    let bracket: String = source.line(open.line).chars().skip(open.column).take(1).collect();
    let close = if bracket == "[" { "]" } else { "}" };
    let where_open = format!("line {}, column {}", open.line, open.column + 1);
    if place.line > open.line {
        return stop(
            Place { width: 1, ..open },
            format!("this `{bracket}` is never closed"),
            format!("add the `{close}`"),
        );
    }
    let where_open = format!("the `{bracket}` at {where_open} is still open");
    match text.get(place.column) {
        Some(':') => stop(
            place,
            "this `:` makes a second value of one key",
            format!("text with `: ` in it needs quotes, a map its own `{{ }}`; {where_open}"),
        ),
        Some('{' | '[') => stop(
            place,
            format!("`,` or `{close}` was expected here"),
            format!("before a key's value stands `: `; {where_open}"),
        ),
        _ => stop(
            place,
            format!("`,` or `{close}` was expected here"),
            format!("{where_open}; text with brackets or `, ` in it needs quotes"),
        ),
    }
}

fn misplaced_colon(place: Place, text: &str) -> (Place, String, Vec<String>) {
    let before: String = text.chars().take(place.column).collect();
    if before.contains(": ") {
        return stop(
            place,
            "this `:` makes a second value of one key",
            "text with `: ` in it needs quotes; a map goes into `{ }` or onto lines of its own",
        );
    }
    stop(
        Place { column: 0, width: before.chars().count(), ..place },
        "a key can't stand here: the line before holds a value already",
        "check this line's indentation; if it belongs to the line before, that one ends with `:`",
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
    stop(place, "this line has no `key: value`", "put `: ` (with a blank) after the key")
}
