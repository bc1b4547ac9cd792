//! From the pattern as JSON to what is matched with, with an error for everything that the service
//! would refuse.

use std::collections::HashSet;

use event::json::{DEPTH_MAX, Raw};
use serde_json::{Map, Value};

use super::{
    CONDITIONS_MAX, Condition, Node, OR_COMBINATIONS_MAX, PATTERN_CHARS_MAX, Pattern, PatternError,
    Rule,
};
use crate::config::PatternKind;

const OR: &str = "$or";
/// Names that no field inside `$or` may have: the service keeps them for operators.
const RESERVED_IN_OR: [&str; 25] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
    "html",
];

pub(super) fn compile(pattern: &Value, kind: PatternKind) -> Result<Pattern, PatternError> {
    let mut compiler = Compiler {
        nodes: vec![Node::default()],
        conditions: Vec::new(),
        named: Vec::new(),
        pointer: Pointer(String::new()),
        kind,
    };
    let Value::Object(fields) = pattern else {
        return Err(compiler.pointer.error(
            "an event pattern is an object",
            r#"write the fields that events must have, for example { "type": ["order"] }"#,
        ));
    };
    let chars = pattern.to_string().chars().count();
    if chars > PATTERN_CHARS_MAX {
        return Err(compiler.pointer.error(
            format!("the pattern has {chars} characters"),
            format!("{PATTERN_CHARS_MAX} are allowed; split it into several filters"),
        ));
    }
    let (rule, combinations) = compiler.object(fields, &[0], false)?;
    compiler.finish(rule, combinations)
}

pub(super) fn parse(text: &str, kind: PatternKind) -> Result<Pattern, PatternError> {
    let pattern: Value = serde_json::from_str(text).map_err(|error| {
        Pointer(String::new())
            .error(format!("this is no JSON: {error}"), "write an object of fields")
    })?;
    let mut pointer = Pointer(String::new());
    if let Some(name) = twice(Raw::new(text.as_bytes()), &mut pointer) {
        return Err(pointer.error(
            format!("the name `{name}` stands twice in one object"),
            "only one of the two would count; write its alternatives into one array",
        ));
    }
    compile(&pattern, kind)
}

/// The first name that stands twice in its object; the pointer leads to it then.
fn twice(value: Raw<'_>, pointer: &mut Pointer) -> Option<String> {
    let mut names = HashSet::new();
    let members = value.members().map(|(name, value)| (name.as_str(), value));
    let elements = value.elements().map(|value| (None, value));
    for (index, (name, value)) in members.chain(elements).enumerate() {
        let len = pointer.0.len();
        let name = name.map(std::borrow::Cow::into_owned);
        pointer.push(name.as_deref().unwrap_or(&index.to_string()));
        match name {
            Some(name) if !names.insert(name.clone()) => return Some(name),
            _ => {}
        }
        if let Some(name) = twice(value, pointer) {
            return Some(name);
        }
        pointer.0.truncate(len);
    }
    None
}

/// Where in the pattern the compiler is.
pub(super) struct Pointer(String);

impl Pointer {
    fn push(&mut self, step: &str) {
        self.0.push('/');
        self.0.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }

    /// An error at this place.
    pub(super) fn error(
        &self,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> PatternError {
        PatternError { pointer: self.0.clone(), message: message.into(), help: help.into() }
    }
}

pub(super) struct Compiler {
    nodes: Vec<Node>,
    conditions: Vec<Condition>,
    /// Per condition: its path with dots between the names, and where it stands in the pattern.
    named: Vec<(String, String)>,
    pub(super) pointer: Pointer,
    pub(super) kind: PatternKind,
}

/// Combinations of conditions of which one must hold.
type Combinations = Vec<Vec<usize>>;

impl Compiler {
    /// Does something one step further down in the pattern.
    pub(super) fn within<T>(
        &mut self,
        step: &str,
        inside: impl FnOnce(&mut Compiler) -> Result<T, PatternError>,
    ) -> Result<T, PatternError> {
        let len = self.pointer.0.len();
        self.pointer.push(step);
        let result = inside(self);
        self.pointer.0.truncate(len);
        result
    }

    /// An object of fields that must all match. `trail` leads to the node it stands at.
    fn object(
        &mut self,
        fields: &Map<String, Value>,
        trail: &[usize],
        in_or: bool,
    ) -> Result<(Rule, Combinations), PatternError> {
        if fields.is_empty() {
            return Err(self.pointer.error(
                "an empty object matches nothing in particular",
                r#"name a field, for example { "type": ["order"] }"#,
            ));
        }
        let mut rules = Vec::new();
        let mut combinations = vec![Vec::new()];
        for (name, value) in fields {
            let (rule, more) = self.within(name, |compiler| {
                if name == OR {
                    compiler.or(value, trail)
                } else {
                    compiler.field(name, value, trail, in_or)
                }
            })?;
            rules.push(rule);
            if combinations.len() * more.len() > OR_COMBINATIONS_MAX {
                return Err(self.pointer.error(
                    format!("its `$or` combine in more than {OR_COMBINATIONS_MAX} ways"),
                    "split the pattern into several filters",
                ));
            }
            combinations = combinations
                .iter()
                .flat_map(|before| more.iter().map(|after| [&before[..], after].concat()))
                .collect();
        }
        let rule = if rules.len() == 1 { rules.pop() } else { None };
        Ok((rule.unwrap_or(Rule::All(rules)), combinations))
    }

    fn or(&mut self, value: &Value, trail: &[usize]) -> Result<(Rule, Combinations), PatternError> {
        let help = r#"write "$or": [{ … }, { … }]"#;
        let Value::Array(patterns) = value else {
            return Err(self.pointer.error("`$or` takes an array of patterns", help));
        };
        if patterns.len() < 2 {
            return Err(self.pointer.error("`$or` takes at least two patterns", help));
        }
        let mut rules = Vec::new();
        let mut combinations = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            self.within(&index.to_string(), |compiler| {
                let Value::Object(fields) = pattern else {
                    return Err(compiler
                        .pointer
                        .error("`$or` takes patterns, which are objects", help));
                };
                let (rule, more) = compiler.object(fields, trail, true)?;
                rules.push(rule);
                combinations.extend(more);
                Ok(())
            })?;
        }
        Ok((Rule::Any(rules), combinations))
    }

    fn field(
        &mut self,
        name: &str,
        value: &Value,
        trail: &[usize],
        in_or: bool,
    ) -> Result<(Rule, Combinations), PatternError> {
        if in_or && RESERVED_IN_OR.contains(&name) {
            return Err(self.pointer.error(
                format!("inside `$or` no field may be called `{name}`"),
                format!(
                    r#"an operator stands in a field's array: {{ "field": [{{ "{name}": … }}] }}"#
                ),
            ));
        }
        let trail = self.trail_to(trail, name);
        if trail.len() > DEPTH_MAX {
            return Err(self.pointer.error(
                format!("no event has more than {DEPTH_MAX} levels"),
                "name a field that events can have",
            ));
        }
        match value {
            Value::Object(fields) => self.object(fields, &trail, in_or),
            Value::Array(alternatives) => {
                let condition = self.condition(alternatives, trail)?;
                Ok((Rule::Condition(condition), vec![vec![condition]]))
            }
            _ => Err(self.pointer.error(
                format!("`{name}` must be an array of alternatives, or an object of fields"),
                if RESERVED_IN_OR.contains(&name) {
                    format!(r#"an operator stands in an array: [{{ "{name}": {value} }}]"#)
                } else {
                    format!("write [{value}]")
                },
            )),
        }
    }

    /// The nodes down to a field; a name with dots takes several steps.
    fn trail_to(&mut self, trail: &[usize], name: &str) -> Vec<usize> {
        let mut trail = trail.to_vec();
        for step in name.split('.') {
            let parent = trail.last().copied().unwrap_or_default();
            let index = self.nodes.len();
            let found = self.nodes.get_mut(parent).and_then(|parent| {
                let found = parent.children.iter().find(|(own, _)| **own == *step);
                let found = found.map(|(_, child)| *child);
                if found.is_none() {
                    parent.children.push((step.into(), index));
                }
                found
            });
            if found.is_none() {
                self.nodes.push(Node { index, depth: trail.len(), ..Node::default() });
            }
            trail.push(found.unwrap_or(index));
        }
        trail
    }

    fn condition(
        &mut self,
        alternatives: &[Value],
        trail: Vec<usize>,
    ) -> Result<usize, PatternError> {
        if alternatives.is_empty() {
            return Err(self.pointer.error(
                "an empty array matches nothing",
                r#"name the values that match, or write [{ "exists": true }] for any"#,
            ));
        }
        let index = self.conditions.len();
        if index == CONDITIONS_MAX {
            return Err(self.pointer.error("too many fields", "split the pattern"));
        }
        let mut condition = Condition { trail, tests: Vec::new(), or_absent: false };
        for (index, alternative) in alternatives.iter().enumerate() {
            let test =
                self.within(&index.to_string(), |compiler| compiler.alternative(alternative))?;
            match test {
                Some(test) => condition.tests.push(test),
                None => condition.or_absent = true,
            }
        }
        let path = self.path_of(&condition.trail);
        self.named.push((path, self.pointer.0.clone()));
        if let Some(node) = condition.trail.last().and_then(|node| self.nodes.get_mut(*node)) {
            node.conditions.push(index);
        }
        self.conditions.push(condition);
        Ok(index)
    }

    /// The names on a trail, with dots between them.
    fn path_of(&self, trail: &[usize]) -> String {
        let names = trail.windows(2).map(|step| {
            let [parent, child] = *step else { return "" };
            let children = self.nodes.get(parent).map(|node| &node.children[..]);
            let own = children.unwrap_or_default().iter().find(|(_, own)| *own == child);
            own.map_or("", |(name, _)| name)
        });
        names.collect::<Vec<_>>().join(".")
    }

    /// Sorts every combination by path, and refuses a path that stands in one twice.
    fn finish(
        mut self,
        rule: Rule,
        mut combinations: Combinations,
    ) -> Result<Pattern, PatternError> {
        for combination in &mut combinations {
            combination.sort_by_key(|index| (self.named.get(*index).map(|(path, _)| path), *index));
            for pair in combination.windows(2) {
                let [first, second] = *pair else { continue };
                if let (Some((path, _)), Some((other, pointer))) =
                    (self.named.get(first), self.named.get(second))
                    && path == other
                {
                    return Err(PatternError {
                        pointer: pointer.clone(),
                        message: format!("the field `{path}` is named twice"),
                        help: "the service would go by one of the two only; write its \
                               alternatives into one array"
                            .to_owned(),
                    });
                }
            }
        }
        self.measure_heights(0);
        Ok(Pattern {
            asks_for_absence: self.conditions.iter().any(|condition| condition.or_absent),
            nodes: self.nodes,
            conditions: self.conditions,
            rule,
            places: self.named.into_iter().map(|(_, pointer)| pointer).collect(),
            combinations,
        })
    }

    fn measure_heights(&mut self, node: usize) -> usize {
        let children = self.nodes.get(node).map(|node| node.children.clone()).unwrap_or_default();
        let height =
            children.iter().map(|(_, child)| self.measure_heights(*child) + 1).max().unwrap_or(0);
        if let Some(node) = self.nodes.get_mut(node) {
            node.height = height;
        }
        height
    }
}
