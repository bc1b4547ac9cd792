//! YAML as a tree in which everything knows its place.
//!
//! The parser gives events with places; this makes trees of them, one per document, and reports
//! what a config must not have: duplicate keys, tags, keys that aren't text, runaway aliases.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::place::{Place, SourceText};
use super::problem::Problems;
use super::{syntax, variable};

/// Levels of lists and maps in each other.
const DEPTH_MAX: usize = 48;

/// Nodes of one document, with what aliases repeat.
const NODES_MAX: usize = 200_000;

/// A value.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Data {
    /// Text, a number, true, false, null: what it means is for the reader to say.
    Scalar(Scalar),
    /// `[a, b]` or `- a`.
    List(Vec<Node>),
    /// `{a: b}` or `a: b`, in the order of the file, each key once.
    Map(Vec<(Name, Node)>),
}

/// A scalar, variables replaced.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Its text.
    pub text: String,
    /// Whether it stands there without quotes.
    pub plain: bool,
    /// Whether its text differs from what the file says, by variables or escapes of them.
    pub(crate) replaced: bool,
    /// Whether one of its variables is wrong: reported, and nothing more can be said of it.
    pub(crate) broken: bool,
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Name {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    fn count(&self) -> usize {
        1 + match &self.data {
            Data::Scalar(_) => 0,
            Data::List(items) => items.iter().map(Node::count).sum(),
            Data::Map(pairs) => pairs.iter().map(|(_, node)| 1 + node.count()).sum(),
        }
    }
}

impl Scalar {
    /// Whether YAML takes it for null.
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// The documents of a file. One that can't be read is left out, its mistake reported; the others
/// are read all the same.
pub fn documents(
    source: &SourceText,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems<'_>,
) -> Vec<Node> {
    let hidden = variable::hide(&source.text);
    let mut found = Vec::new();
    for (lines_before, text) in split(&hidden) {
        let mut tree = Tree::new(source, env, lines_before);
        if let Err(stop) = tree.read(&text, problems) {
            let (place, message, help) = stop;
            let error = problems.add(place, message);
            for help in help {
                error.help(help);
            }
            continue;
        }
        found.append(&mut tree.roots);
    }
    found
}

/// Cuts a file before each `---`, so that a syntax error ends its own document only. YAML keeps
/// `---` at the start of a line for this, even inside quotes and blocks.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = vec![(0, String::new())];
    let mut has_content = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']));
        if marker && has_content {
            parts.push((number, String::new()));
        }
        // `%YAML 1.2` belongs to the `---` that follows it.
        has_content |= !(line.trim().is_empty() || line.starts_with(['#', '%']));
        if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
        }
    }
    parts
}

/// Why reading a document ended early: where, what, help.
type Stop = (Place, String, Vec<String>);

/// A list or map that isn't closed yet.
enum Open {
    List { place: Place, anchor: usize, items: Vec<Node> },
    Map { place: Place, anchor: usize, pairs: Vec<(Name, Node)>, key: Option<Name>, seen: Seen },
}

type Seen = HashMap<String, Place>;

struct Tree<'a> {
    source: &'a SourceText,
    env: &'a dyn Fn(&str) -> Option<String>,
    lines_before: usize,
    open: Vec<Open>,
    roots: Vec<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Tree<'a> {
    fn new(
        source: &'a SourceText,
        env: &'a dyn Fn(&str) -> Option<String>,
        lines_before: usize,
    ) -> Tree<'a> {
        let (open, roots, anchors) = (Vec::new(), Vec::new(), HashMap::new());
        Tree { source, env, lines_before, open, roots, anchors, nodes: 0 }
    }

    fn position(&self, marker: &Marker) -> (usize, usize) {
        (marker.line() + self.lines_before, marker.col())
    }

    fn place(&self, span: &Span) -> Place {
        self.source.place(self.position(&span.start), self.position(&span.end))
    }

    /// Reads one part of the file. What it holds ends up in `roots`.
    fn read(&mut self, text: &str, problems: &mut Problems<'_>) -> Result<(), Stop> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(found) => found,
                Err(error) => {
                    let complaint = syntax::Complaint {
                        text: error.info(),
                        at: self.position(error.marker()),
                        document_line: self.lines_before + 1,
                        unclosed: self.unclosed(),
                    };
                    return Err(syntax::explain(self.source, &complaint));
                }
            };
            let place = self.place(&span);
            if let Event::Scalar(.., Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) = &event
            {
                problems
                    .add(place, format!("the tag `{tag}` has no meaning in a config"))
                    .help("leave it out; quotes make text of anything");
            }
            match event {
                Event::StreamEnd => break,
                Event::Alias(id) => {
                    let Some(node) = self.anchors.get(&id).cloned() else {
                        let help = vec!["an alias can't stand inside what it names".to_owned()];
                        return Err((place, "this alias names itself".to_owned(), help));
                    };
                    self.nodes += node.count();
                    self.attach(node, 0, problems)?;
                }
                Event::Scalar(text, style, anchor, _) => {
                    let plain = style == ScalarStyle::Plain;
                    let text = text.into_owned();
                    let scalar = Scalar { text, plain, replaced: false, broken: false };
                    let data = Data::Scalar(scalar);
                    self.attach(Node { place, data }, anchor, problems)?;
                }
                Event::SequenceStart(anchor, _) => {
                    self.enter(place, Open::List { place, anchor, items: Vec::new() })?;
                }
                Event::MappingStart(anchor, _) => {
                    let (pairs, key, seen) = (Vec::new(), None, Seen::new());
                    self.enter(place, Open::Map { place, anchor, pairs, key, seen })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.leave(problems)?,
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
            }
        }
        Ok(())
    }

    /// Where the innermost `{` or `[` that isn't closed stands.
    fn unclosed(&self) -> Option<Place> {
        match self.open.last()? {
            Open::List { place, .. } | Open::Map { place, .. } => {
                (place.width > 0).then_some(*place)
            }
        }
    }

    fn enter(&mut self, place: Place, open: Open) -> Result<(), Stop> {
        if self.open.len() == DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} lists and maps in each other");
            return Err((place, message, vec!["no config needs that".to_owned()]));
        }
        self.open.push(open);
        Ok(())
    }

    fn leave(&mut self, problems: &mut Problems<'_>) -> Result<(), Stop> {
        match self.open.pop() {
            Some(Open::List { place, anchor, items }) => {
                let data = Data::List(items);
                self.attach(Node { place, data }, anchor, problems)
            }
            Some(Open::Map { place, anchor, pairs, .. }) => {
                let data = Data::Map(pairs);
                self.attach(Node { place, data }, anchor, problems)
            }
            None => Ok(()),
        }
    }

    /// Puts a whole node where it belongs: under its key, into its list, or as a document.
    fn attach(
        &mut self,
        mut node: Node,
        anchor: usize,
        problems: &mut Problems<'_>,
    ) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values in one document");
            return Err((node.place, message, vec!["aliases repeat what they name".to_owned()]));
        }
        let is_key = matches!(self.open.last(), Some(Open::Map { key: None, .. }));
        if !is_key {
            self.replace_variables(&mut node, problems);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.roots.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { key: key @ None, .. }) => *key = Some(name(node, problems)),
            Some(Open::Map { pairs, key, seen, .. }) => {
                let Some(name) = key.take() else { return Ok(()) };
                match seen.get(&name.text) {
                    Some(first) => {
                        let message = format!("`{}` is here twice", name.text);
                        problems.add(name.place, message).help(format!(
                            "the first is in line {}, column {}; keep one",
                            first.line,
                            first.column + 1
                        ));
                    }
                    None => {
                        seen.insert(name.text.clone(), name.place);
                        pairs.push((name, node));
                    }
                }
            }
        }
        Ok(())
    }

    fn replace_variables(&self, node: &mut Node, problems: &mut Problems<'_>) {
        let Data::Scalar(scalar) = &mut node.data else { return };
        if scalar.replaced || scalar.broken {
            return; // an alias to a scalar whose variables were replaced
        }
        let written = variable::show(&scalar.text);
        match variable::expand(&written, self.env) {
            Ok(expanded) => {
                scalar.replaced = expanded != written;
                scalar.text = expanded;
            }
            Err(found) => {
                for problem in found {
                    let place =
                        self.source.inside(node.place, &written, problem.offset, problem.width);
                    problems.add(place, problem.message).help(problem.help);
                }
                scalar.text = written;
                scalar.broken = true;
            }
        }
    }
}

/// Makes a key of a node.
fn name(node: Node, problems: &mut Problems<'_>) -> Name {
    let place = node.place;
    let Data::Scalar(scalar) = node.data else {
        problems.add(place, "a list or map can't be a key").help("a key is text");
        return Name { text: String::new(), place };
    };
    let text = variable::show(&scalar.text);
    if text.replace("$${", "").contains("${") {
        problems
            .add(place, "variables are replaced in values, not in keys")
            .help("write the key out, or `$${` for a plain `${`");
    }
    Name { text: text.replace("$${", "${"), place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> (Vec<Node>, Vec<String>) {
        let source = SourceText::new(Path::new("a.yaml"), text);
        let mut problems = Problems::new(&source);
        let found = documents(&source, &|_| Some("v: {".to_owned()), &mut problems);
        (found, problems.errors.into_iter().map(|error| error.message).collect())
    }

    #[test]
    fn a_broken_document_leaves_the_others_readable() {
        let (found, errors) = read("a: 1\n---\nb: [\n---\n# c\n---\nc: 3\n");
        assert_eq!(found.len(), 3, "{found:?}"); // the comment alone is a null document
        assert_eq!(errors.len(), 1);
        assert!(found.iter().any(|node| node.place.line == 7));
    }

    #[test]
    fn a_variable_can_not_bring_yaml_along() {
        let (found, errors) = read("{ a: ${X}, b: '${X}' }");
        assert!(errors.is_empty(), "{errors:?}");
        let Data::Map(pairs) = &found[0].data else { panic!("no map") };
        for (_, node) in pairs {
            assert!(matches!(&node.data, Data::Scalar(scalar) if scalar.text == "v: {"));
        }
    }

    #[test]
    fn aliases_can_not_explode() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let above = level - 1;
            let items = vec![format!("*a{above}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let (_, errors) = read(&text);
        assert!(errors[0].contains("200000"), "{errors:?}");
    }
}
