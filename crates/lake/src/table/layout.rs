//! The schema laid out for shredding: numbered nodes, members found by name.

use std::collections::HashMap;

use super::schema::{ColumnType, Schema};
use arrow_schema::{DataType, Field, Fields};
use std::sync::Arc;

/// Members past which a node gets an index.
const INDEX_FROM: usize = 24;

/// What a node holds; children by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Struct,
    List(u32),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int64",
            Self::Float => "float64",
            Self::Text => "utf8",
            Self::Struct => "struct",
            Self::List(_) => "list",
        }
    }
}

/// One place in the rows that has a column.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) data_type: DataType,
    /// Of a struct: names in the events, in the columns' order.
    pub(super) members: Vec<(Box<str>, u32)>,
    /// Places in `members`; only when there are many.
    index: HashMap<Box<str>, usize>,
}

impl Node {
    /// A member's place among the members, its name and its node.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &str, u32)> {
        let at = if self.index.is_empty() {
            self.members.iter().position(|(known, _)| **known == *name)?
        } else {
            *self.index.get(name)?
        };
        self.members.get(at).map(|(known, child)| (at, &**known, *child))
    }
}

/// All nodes; node 0 is the row.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(super) nodes: Vec<Node>,
}

impl Layout {
    pub(crate) fn new(schema: &Schema) -> Self {
        let mut layout = Self { nodes: Vec::new() };
        layout.add(&ColumnType::Struct(schema.columns.clone()));
        layout
    }

    fn add(&mut self, kind: &ColumnType) -> u32 {
        let id = self.nodes.len();
        let empty = Node {
            kind: Kind::Bool,
            data_type: DataType::Boolean,
            members: Vec::new(),
            index: HashMap::new(),
        };
        self.nodes.push(empty);
        let mut members = Vec::new();
        let (kind, data_type) = match kind {
            ColumnType::Bool => (Kind::Bool, DataType::Boolean),
            ColumnType::Int64 => (Kind::Int, DataType::Int64),
            ColumnType::Float64 => (Kind::Float, DataType::Float64),
            ColumnType::Utf8 => (Kind::Text, DataType::Utf8),
            ColumnType::List(item) => {
                let item = self.add(item);
                let field = Field::new("element", self.data_type(item), true);
                (Kind::List(item), DataType::List(Arc::new(field)))
            }
            ColumnType::Struct(columns) => {
                let mut fields = Vec::new();
                for column in columns {
                    let child = self.add(&column.kind);
                    fields.push(Field::new(&column.column, self.data_type(child), true));
                    members.push((column.name.clone().into_boxed_str(), child));
                }
                (Kind::Struct, DataType::Struct(Fields::from(fields)))
            }
        };
        let index = if members.len() > INDEX_FROM { places(&members) } else { HashMap::new() };
        if let Some(node) = self.nodes.get_mut(id) {
            *node = Node { kind, data_type, members, index };
        }
        id as u32
    }

    fn data_type(&self, id: u32) -> DataType {
        self.nodes.get(id as usize).map_or(DataType::Boolean, |node| node.data_type.clone())
    }
}

fn places(members: &[(Box<str>, u32)]) -> HashMap<Box<str>, usize> {
    members.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect()
}
