//! Files of another version of this program have other columns: fewer in older ones, more in newer ones.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, StructArray, new_null_array};
use arrow_schema::{ArrowError, DataType, Fields};

use crate::schema::schema;

/// Whether all columns of a file are columns of ours: to write the others again would be to lose them.
pub(super) fn knows(theirs: &Fields) -> bool {
    has(schema().fields(), theirs)
}

fn has(ours: &Fields, theirs: &Fields) -> bool {
    theirs.iter().all(|their| {
        let our = ours.find(their.name()).map(|(_, our)| our.data_type());
        match (our, their.data_type()) {
            (Some(DataType::Struct(ours)), DataType::Struct(theirs)) => has(ours, theirs),
            (our, their) => our == Some(their),
        }
    })
}

/// With the columns that it hasn't, empty.
pub(super) fn adapt(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref().fields() == schema().fields() {
        return Ok(batch.clone());
    }
    let columns = columns(&StructArray::from(batch.clone()), schema().fields())?;
    RecordBatch::try_new(Arc::clone(schema()), columns)
}

fn columns(from: &StructArray, fields: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |field: &arrow_schema::FieldRef| -> Result<ArrayRef, ArrowError> {
        let Some(column) = from.column_by_name(field.name()) else {
            return Ok(new_null_array(field.data_type(), from.len()));
        };
        match (field.data_type(), column.as_any().downcast_ref::<StructArray>()) {
            (DataType::Struct(inner), Some(column)) => {
                let (columns, nulls) = (columns(column, inner)?, column.nulls().cloned());
                Ok(Arc::new(StructArray::try_new(inner.clone(), columns, nulls)?))
            }
            _ => Ok(Arc::clone(column)),
        }
    };
    fields.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, StringArray, UInt32Array};
    use arrow_schema::Field;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn columns_that_an_older_file_lacks_are_empty() {
        let fields: Fields = vec![Field::new("pid", DataType::UInt32, true)].into();
        let pids: ArrayRef = Arc::new(UInt32Array::from(vec![7]));
        let process = StructArray::try_new(fields, vec![pids], None).expect("a struct");
        let message: ArrayRef = Arc::new(StringArray::from(vec!["hello"]));
        let old = batch(vec![("message", message), ("process", Arc::new(process))]);
        assert!(knows(old.schema_ref().fields()));
        let new = adapt(&old).expect("a batch of ours");
        assert_eq!(new.schema_ref(), schema());
        let process = new.column_by_name("process").expect("a column");
        let process = process.as_any().downcast_ref::<StructArray>().expect("a struct");
        assert_eq!(process.column_by_name("pid").map(Array::null_count), Some(0));
        assert_eq!(process.column_by_name("name").map(Array::null_count), Some(1));
    }

    #[test]
    fn columns_of_a_newer_file_are_not_dropped() {
        let column: ArrayRef = Arc::new(UInt32Array::from(vec![7]));
        assert!(!knows(batch(vec![("invented", Arc::clone(&column))]).schema_ref().fields()));
        assert!(!knows(batch(vec![("message", column)]).schema_ref().fields()));
    }
}
