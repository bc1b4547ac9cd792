//! Rows into columns, in one pass and without a tree: each value goes straight to its column.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use event::json::{Cursor, JsonError, Text};

use super::columns::{self, Col, Data};
use super::layout::{Kind, Layout};
use super::learn::{Number, unescape};
use super::own::{Own, SideRow};
use super::rescue::{Place, Rescues};
use super::schema::Schema;

/// The largest integer up to which a double holds every one.
const EXACT_MAX: i64 = 1 << 53;

/// Turns rows into record batches.
pub(crate) struct Shredder {
    layout: Arc<Layout>,
    schema: SchemaRef,
    cols: Vec<Col>,
    own: Own,
    rows: usize,
    rescues: Rescues,
}

/// What a row is shredded with.
struct Walk<'l, 's> {
    layout: &'l Layout,
    cols: &'s mut [Col],
    rescues: &'s mut Rescues,
    places: Vec<Place<'l>>,
}

impl Shredder {
    pub(crate) fn new(schema: &Schema) -> Self {
        let layout = Arc::new(Layout::new(schema));
        let fields = match layout.nodes.first().map(|node| &node.data_type) {
            Some(DataType::Struct(fields)) => fields.iter().cloned().collect(),
            _ => Vec::new(),
        };
        let own = Own::fields().into_iter().map(Arc::new);
        let all: Vec<Arc<Field>> = fields.into_iter().chain(own).collect();
        let cols = layout.nodes.iter().map(|node| Col::new(node.kind)).collect();
        Self {
            layout,
            schema: Arc::new(ArrowSchema::new(all)),
            cols,
            own: Own::default(),
            rows: 0,
            rescues: Rescues::default(),
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row. One that `json` says is no JSON object is rescued whole.
    pub(crate) fn push(
        &mut self,
        text: &[u8],
        json: bool,
        side: &SideRow,
        shard: &str,
        event_ns: Option<i64>,
    ) {
        let walk = Walk {
            layout: &self.layout,
            cols: &mut self.cols,
            rescues: &mut self.rescues,
            places: Vec::new(),
        };
        if !json || walk.row(text, self.rows).is_err() {
            self.rescues.row(text);
        }
        self.rows += 1;
        let own = &mut self.own;
        self.rescues.end_row(|rescued| own.push(side, shard, event_ns, rescued));
    }

    /// The rows since the last batch.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let array = columns::finish(&self.layout, &mut self.cols, 0, rows)?;
        let array = array.as_any().downcast_ref::<StructArray>();
        let mut arrays: Vec<ArrayRef> = array.map(|a| a.columns().to_vec()).unwrap_or_default();
        arrays.extend(self.own.finish()?);
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }

    /// What was rescued from all rows.
    pub(crate) fn into_rescues(self) -> Rescues {
        self.rescues
    }
}

impl<'l> Walk<'l, '_> {
    fn row(mut self, text: &[u8], row: usize) -> Result<(), JsonError> {
        let mut cursor = Cursor::new(text);
        cursor.peek();
        self.object(&mut cursor, 0, row)
    }

    /// Fills place `slot` of a struct's columns.
    fn object(&mut self, cursor: &mut Cursor<'_>, id: u32, slot: usize) -> Result<(), JsonError> {
        let layout = self.layout;
        let Some(node) = layout.nodes.get(id as usize) else { return cursor.skip().map(drop) };
        if let Some(col) = self.cols.get_mut(id as usize) {
            col.pad(slot);
            col.filled();
        }
        let mut more = cursor.enter()?;
        let mut next = 0;
        while more {
            let name = cursor.name()?;
            match node.members.get(next) {
                Some((known, child)) if known.as_bytes() == name.inner => {
                    next += 1;
                    self.value(cursor, *child, slot, Place::Field(known))?;
                }
                _ => match unescape(name).and_then(|name| node.find(&name)) {
                    Some((at, known, child)) => {
                        next = at + 1;
                        self.value(cursor, child, slot, Place::Field(known))?;
                    }
                    None => self.unknown(cursor, name)?,
                },
            }
            more = cursor.next_member()?;
        }
        Ok(())
    }

    /// A field that has no column.
    #[cold]
    fn unknown(&mut self, cursor: &mut Cursor<'_>, name: Text<'_>) -> Result<(), JsonError> {
        let raw = cursor.skip()?;
        if raw == b"null" {
            return Ok(());
        }
        let text = unescape(name).map_or_else(
            || String::from_utf8_lossy(name.inner).into_owned(),
            |name| name.into_owned(),
        );
        let mut places = self.places.clone();
        places.push(Place::Field(&text));
        self.rescues.value(&places, format!("{}, no column", kind_of(raw)), raw);
        Ok(())
    }

    #[inline]
    fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        id: u32,
        slot: usize,
        place: Place<'l>,
    ) -> Result<(), JsonError> {
        let (Some(node), Some(col)) =
            (self.layout.nodes.get(id as usize), self.cols.get_mut(id as usize))
        else {
            return cursor.skip().map(drop);
        };
        if col.slots > slot {
            return self.misfit(cursor, place, "a field that stands twice");
        }
        col.pad(slot);
        match (cursor.peek(), &mut col.data) {
            (b'n', _) => {
                cursor.literal()?;
                col.pad(slot + 1);
                Ok(())
            }
            (b'"', Data::Text { ends, bytes }) => {
                let mut after = cursor.clone();
                let text = after.string()?;
                if text.escaped {
                    match unescape(text) {
                        Some(text) => bytes.extend_from_slice(text.as_bytes()),
                        None => return self.misfit(cursor, place, "half a surrogate pair"),
                    }
                } else {
                    bytes.extend_from_slice(text.inner);
                }
                ends.push(bytes.len() as i32);
                col.filled();
                *cursor = after;
                Ok(())
            }
            (b'-' | b'0'..=b'9', Data::Int(values)) => {
                let mut after = cursor.clone();
                match Number::of(after.number()?) {
                    Number::Int(value) => values.push(value),
                    Number::Float(_) => return self.misfit(cursor, place, "not an integer"),
                    Number::Huge => return self.misfit(cursor, place, "beyond 64 bits"),
                }
                col.filled();
                *cursor = after;
                Ok(())
            }
            (b'-' | b'0'..=b'9', Data::Float(values)) => {
                let mut after = cursor.clone();
                match Number::of(after.number()?) {
                    Number::Float(value) => values.push(value),
                    Number::Int(value) if (-EXACT_MAX..=EXACT_MAX).contains(&value) => {
                        values.push(value as f64);
                    }
                    _ => return self.misfit(cursor, place, "beyond what a double holds"),
                }
                col.filled();
                *cursor = after;
                Ok(())
            }
            (first @ (b't' | b'f'), Data::Bool(values)) => {
                cursor.literal()?;
                values.append(first == b't');
                col.filled();
                Ok(())
            }
            (b'{', Data::Struct) => {
                self.places.push(place);
                let done = self.object(cursor, id, slot);
                self.places.pop();
                done
            }
            (b'[', Data::List { .. }) => {
                let Kind::List(item) = node.kind else { return cursor.skip().map(drop) };
                self.places.push(place);
                let done = self.array(cursor, id, item);
                self.places.pop();
                done
            }
            _ => self.misfit(cursor, place, ""),
        }
    }

    /// Fills the next place of a list's column.
    fn array(&mut self, cursor: &mut Cursor<'_>, id: u32, item: u32) -> Result<(), JsonError> {
        let begin = match self.cols.get(id as usize).map(|col| &col.data) {
            Some(Data::List { ends }) => ends.last().copied().unwrap_or(0) as usize,
            _ => return cursor.skip().map(drop),
        };
        let mut count = 0;
        let mut more = cursor.enter()?;
        while more {
            self.value(cursor, item, begin + count, Place::Index(count))?;
            count += 1;
            more = cursor.next_element()?;
        }
        if let Some(col) = self.cols.get_mut(id as usize) {
            if let Data::List { ends } = &mut col.data {
                ends.push((begin + count) as i32);
            }
            col.filled();
        }
        Ok(())
    }

    /// A value that doesn't fit its column.
    #[cold]
    #[inline(never)]
    fn misfit(
        &mut self,
        cursor: &mut Cursor<'_>,
        place: Place<'l>,
        why: &str,
    ) -> Result<(), JsonError> {
        let raw = cursor.skip()?;
        if raw == b"null" {
            return Ok(());
        }
        let mut places = self.places.clone();
        places.push(place);
        let found = if why.is_empty() { kind_of(raw) } else { why };
        let column = self.column(&places);
        self.rescues.value(&places, format!("{found}, the column is {column}"), raw);
        Ok(())
    }

    /// What the column at `places` holds.
    fn column(&self, places: &[Place<'_>]) -> &'static str {
        let mut node = self.layout.nodes.first();
        for place in places {
            let child = match (place, node) {
                (Place::Field(name), Some(node)) => node.find(name).map(|(_, _, child)| child),
                (Place::Index(_), Some(node)) => match node.kind {
                    Kind::List(item) => Some(item),
                    _ => None,
                },
                _ => None,
            };
            node = child.and_then(|child| self.layout.nodes.get(child as usize));
        }
        node.map_or("gone", |node| node.kind.name())
    }
}

/// What a JSON value is, for messages.
fn kind_of(raw: &[u8]) -> &'static str {
    match raw.first() {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a bool",
        Some(b'n') | None => "null",
        Some(_) => "a number",
    }
}
