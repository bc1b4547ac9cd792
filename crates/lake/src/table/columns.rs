//! The values of one node of the layout, on their way to an array.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_schema::DataType;

use super::layout::{Kind, Layout};

pub(super) enum Data {
    Bool(BooleanBufferBuilder),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text { ends: Vec<i32>, bytes: Vec<u8> },
    Struct,
    List { ends: Vec<i32> },
}

/// Places filled so far, with their values. Places that nobody fills become null when a later one
/// is filled.
pub(super) struct Col {
    pub(super) data: Data,
    /// Made with the first null.
    nulls: Option<BooleanBufferBuilder>,
    pub(super) slots: usize,
}

impl Col {
    pub(super) fn new(kind: Kind) -> Self {
        let data = match kind {
            Kind::Bool => Data::Bool(BooleanBufferBuilder::new(0)),
            Kind::Int => Data::Int(Vec::new()),
            Kind::Float => Data::Float(Vec::new()),
            Kind::Text => Data::Text { ends: vec![0], bytes: Vec::new() },
            Kind::Struct => Data::Struct,
            Kind::List(_) => Data::List { ends: vec![0] },
        };
        Self { data, nulls: None, slots: 0 }
    }

    /// Fills the places below `slot` with null.
    #[inline(always)]
    pub(super) fn pad(&mut self, slot: usize) {
        if self.slots < slot {
            self.fill_nulls(slot);
        }
    }

    #[inline(never)]
    fn fill_nulls(&mut self, slot: usize) {
        let count = slot - self.slots;
        let slots = self.slots;
        let nulls = self.nulls.get_or_insert_with(|| {
            let mut nulls = BooleanBufferBuilder::new(slot);
            nulls.append_n(slots, true);
            nulls
        });
        nulls.append_n(count, false);
        self.slots = slot;
        match &mut self.data {
            Data::Bool(values) => values.append_n(count, false),
            Data::Int(values) => values.resize(slot, 0),
            Data::Float(values) => values.resize(slot, 0.0),
            Data::Text { ends, .. } | Data::List { ends } => {
                let last = ends.last().copied().unwrap_or(0);
                ends.resize(slot + 1, last);
            }
            Data::Struct => {}
        }
    }

    /// Notes that the next place is filled; the caller has pushed its value.
    #[inline(always)]
    pub(super) fn filled(&mut self) {
        self.slots += 1;
        if let Some(nulls) = &mut self.nulls {
            nulls.append(true);
        }
    }

    fn take_nulls(&mut self) -> Option<NullBuffer> {
        self.nulls.take().map(|mut nulls| NullBuffer::new(nulls.finish()))
    }
}

fn text_array(
    ends: Vec<i32>,
    bytes: Vec<u8>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?))
}

/// Takes the values of node `id` out, as an array of `slots` places.
pub(super) fn finish(
    layout: &Layout,
    cols: &mut [Col],
    id: u32,
    slots: usize,
) -> Result<ArrayRef, ArrowError> {
    let gone = || ArrowError::InvalidArgumentError("a node without a column".into());
    let node = layout.nodes.get(id as usize).ok_or_else(gone)?;
    let col = cols.get_mut(id as usize).ok_or_else(gone)?;
    col.pad(slots);
    let nulls = col.take_nulls();
    let data = std::mem::replace(&mut col.data, Col::new(node.kind).data);
    col.slots = 0;
    Ok(match data {
        Data::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
        Data::Int(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
        Data::Float(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
        Data::Text { ends, bytes } => text_array(ends, bytes, nulls)?,
        Data::List { ends } => {
            let items = ends.last().copied().unwrap_or(0) as usize;
            let (Kind::List(item), DataType::List(field)) = (node.kind, &node.data_type) else {
                return Err(gone());
            };
            let values = finish(layout, cols, item, items)?;
            let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls)?)
        }
        Data::Struct => {
            let DataType::Struct(fields) = &node.data_type else { return Err(gone()) };
            let children = node.members.iter();
            let arrays: Result<Vec<ArrayRef>, ArrowError> =
                children.map(|(_, child)| finish(layout, cols, *child, slots)).collect();
            let arrays = arrays?;
            debug_assert!(arrays.iter().all(|array| array.len() == slots));
            Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, slots)?)
        }
    })
}
