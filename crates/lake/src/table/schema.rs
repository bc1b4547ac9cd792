//! The table's columns: they belong to the table, and compactions only add to them.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::OWN_COLUMNS;
use super::learn::{Learned, Sort};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// `true` and `false`.
    Bool,
    /// Integers of 64 bits.
    Int64,
    /// Numbers, to the nearest double.
    Float64,
    /// Text.
    Utf8,
    /// An object.
    Struct(Vec<Column>),
    /// An array.
    List(Box<ColumnType>),
}

/// A field of the events and its column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The field's name in the events.
    pub name: String,
    /// The column's; another one where that name is taken, or would be in a reader that doesn't
    /// tell upper from lower case.
    pub column: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

impl ColumnType {
    /// How messages name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Utf8 => "utf8",
            Self::Struct(_) => "struct",
            Self::List(_) => "list",
        }
    }

    fn leaves(&self) -> usize {
        match self {
            Self::Struct(columns) => columns.iter().map(|column| column.kind.leaves()).sum(),
            Self::List(item) => item.leaves(),
            _ => 1,
        }
    }
}

/// How large a schema may get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Columns that hold values themselves; fields past it stay in `_rescued`.
    pub(crate) columns_max: usize,
    /// Levels of objects and arrays in a column.
    pub(crate) columns_depth_max: usize,
    /// Length of a column's name; a field with a longer one stays in `_rescued`.
    pub(crate) column_name_bytes_max: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self =
        Self { columns_max: 1000, columns_depth_max: 16, column_name_bytes_max: 255 };

    /// Nothing learned yet, within these limits.
    pub(crate) fn learned(&self) -> Learned {
        Learned::new(self.columns_max.saturating_mul(4), self.columns_depth_max)
    }
}

/// The table's columns, without its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Schema {
    pub(crate) columns: Vec<Column>,
}

impl Schema {
    /// Adds what rows hold beyond it, in the order of first sight; the paths and types of the
    /// columns that are new. `keys` are names that the folders take.
    pub(crate) fn grow(
        &mut self,
        learned: &Learned,
        limits: &Limits,
        keys: &[String],
    ) -> Vec<String> {
        let leaves = self.columns.iter().map(|column| column.kind.leaves()).sum();
        let mut grower = Grower { learned, limits, leaves, added: Vec::new() };
        let own = OWN_COLUMNS.iter().map(|name| (*name).to_owned());
        let reserved: HashSet<String> =
            own.chain(keys.iter().map(|key| key.to_ascii_lowercase())).collect();
        grower.members(&mut self.columns, 0, "$", &reserved);
        grower.added
    }
}

struct Grower<'a> {
    learned: &'a Learned,
    limits: &'a Limits,
    leaves: usize,
    added: Vec<String>,
}

impl Grower<'_> {
    /// Adds to the columns of an object what was seen at node `id`.
    fn members(
        &mut self,
        columns: &mut Vec<Column>,
        id: u32,
        path: &str,
        reserved: &HashSet<String>,
    ) {
        let Some(node) = self.learned.nodes.get(id as usize) else { return };
        let mut by_name: std::collections::HashMap<String, usize> =
            columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        let mut taken: HashSet<String> =
            columns.iter().map(|column| column.column.to_ascii_lowercase()).collect();
        taken.extend(reserved.iter().cloned());
        for (name, child) in &node.members {
            let inside = format!("{path}.{name}");
            if let Some(column) = by_name.get(&**name).and_then(|at| columns.get_mut(*at)) {
                self.widen(&mut column.kind, *child, &inside);
                continue;
            }
            if name.len() > self.limits.column_name_bytes_max {
                continue;
            }
            let Some(kind) = self.kind(*child, &inside) else { continue };
            let mut column = name.to_string();
            while column.is_empty() || taken.contains(&column.to_ascii_lowercase()) {
                column.push_str("_field");
            }
            taken.insert(column.to_ascii_lowercase());
            by_name.insert(name.to_string(), columns.len());
            columns.push(Column { name: name.to_string(), column, kind });
        }
    }

    /// Adds to a type that the table has.
    fn widen(&mut self, kind: &mut ColumnType, id: u32, path: &str) {
        match kind {
            ColumnType::Struct(columns) => self.members(columns, id, path, &HashSet::new()),
            ColumnType::List(item) => {
                let node = self.learned.nodes.get(id as usize);
                if let Some(seen) = node.and_then(|node| node.item) {
                    self.widen(item, seen, &format!("{path}[]"));
                }
            }
            _ => {}
        }
    }

    /// The type of a new column: that of the first value that has one.
    fn kind(&mut self, id: u32, path: &str) -> Option<ColumnType> {
        let node = self.learned.nodes.get(id as usize)?;
        for sort in &node.sorts {
            let scalar = match sort {
                Sort::Bool => ColumnType::Bool,
                Sort::Number if node.float => ColumnType::Float64,
                Sort::Number => ColumnType::Int64,
                Sort::Text => ColumnType::Utf8,
                Sort::Object => {
                    let mut columns = Vec::new();
                    self.members(&mut columns, id, path, &HashSet::new());
                    if columns.is_empty() {
                        continue;
                    }
                    return Some(ColumnType::Struct(columns));
                }
                Sort::Array => {
                    let Some(item) = node.item else { continue };
                    let Some(item) = self.kind(item, &format!("{path}[]")) else { continue };
                    return Some(ColumnType::List(Box::new(item)));
                }
            };
            if self.leaves >= self.limits.columns_max {
                return None;
            }
            self.leaves += 1;
            self.added.push(format!("{path}: {}", scalar.name()));
            return Some(scalar);
        }
        None
    }
}
