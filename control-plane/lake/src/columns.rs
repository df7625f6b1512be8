//! Columns in the making: events go in as protobuf, one after another, and come out as an Arrow batch.
//!
//! Most columns are empty in most events. So a column is not told of the rows that have nothing for it: it knows how long
//! it is, and what is missing is filled in at once when there is something again.

mod column;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;

use crate::schema::schema;
use crate::schema::shape::{EVENT, Shape};
use crate::wire::Fields;
use column::Column;

/// Those of [`schema`].
#[derive(Debug)]
pub(crate) struct Columns {
    rows: usize,
    columns: Vec<Column>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { rows: 0, columns: columns(&EVENT) }
    }
}

impl Columns {
    /// Adds an event, which has been checked: of one that is malformed, what comes before the fault is added.
    pub(crate) fn push(&mut self, event: &[u8]) {
        push(&EVENT, &mut self.columns, self.rows, event);
        self.rows += 1;
    }

    /// How many there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// All that was added; there is none afterwards.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let arrays = finish(&EVENT, &mut self.columns, rows)?;
        RecordBatch::try_new(schema().clone(), arrays)
    }
}

fn columns(shape: &Shape) -> Vec<Column> {
    shape.fields.iter().map(|field| Column::new(&field.kind)).collect()
}

/// Adds a message's fields to row `row`. Of a field that comes twice, the first counts.
fn push(shape: &Shape, columns: &mut [Column], row: usize, message: &[u8]) {
    for field in Fields::of(message) {
        let Ok((number, value)) = field else { return };
        if let Some(at) = shape.position(number) {
            columns[at].push(&shape.fields[at].kind, row, value);
        }
    }
}

fn finish(shape: &Shape, columns: &mut [Column], rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
    let fields = shape.fields.iter().zip(columns);
    fields.map(|(field, column)| column.finish(&field.kind, rows)).collect()
}
