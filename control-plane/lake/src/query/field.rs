//! What a condition may name: values in events, by the path that they have in the JSON.
//!
//! A condition is evaluated over flat columns. One is a value at the end of a path through objects and maps, or whether a
//! list has a text: so whoever evaluates knows neither structs nor maps nor lists.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, MapArray, RecordBatch, StringArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field};
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use crate::schema::schema;

/// A flat column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// From the outermost field inwards; the last may be keys of a map.
    path: Vec<String>,
    /// It is whether the list there has this text.
    has: Option<String>,
    data_type: DataType,
    /// So many of the path are fields of the schema.
    fields: usize,
}

impl Column {
    /// A value; says what is wrong with a path that leads to none.
    pub(super) fn value(path: Vec<String>) -> Result<Self, String> {
        let (data_type, fields) = resolve(&path)?;
        let name = path.join(".");
        match data_type {
            DataType::Struct(fields) => {
                let names = fields.iter().take(3).map(|it| it.name().as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                Err(format!("{name} is an object: name one of its fields ({names} …)"))
            }
            DataType::List(_) => Err(format!("{name} is a list: ask for 'TEXT' = ANY({name})")),
            DataType::Map(..) => Err(format!("{name} is a map: name one of its keys ({name}.KEY)")),
            data_type => Ok(Self { path, has: None, data_type, fields }),
        }
    }

    /// Whether a list has a text.
    pub(super) fn has(path: Vec<String>, text: String) -> Result<Self, String> {
        match resolve(&path)? {
            (DataType::List(_), fields) => {
                Ok(Self { path, has: Some(text), data_type: DataType::Boolean, fields })
            }
            _ => Err(format!("{} is no list", path.join("."))),
        }
    }

    /// As the column of a flat schema.
    pub(super) fn field(&self) -> Field {
        let has = self.has.as_ref().map(|text| format!(" has {text}")).unwrap_or_default();
        Field::new(format!("{}{has}", self.path.join(".")), self.data_type.clone(), true)
    }

    /// The field of the schema that has it.
    pub(super) fn source(&self) -> &[String] {
        &self.path[..self.fields]
    }

    /// The column of a batch. A file that is older than a field has nothing in it.
    pub(super) fn of(&self, batch: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        let missing = || match &self.has {
            Some(_) => Arc::new(BooleanArray::from(vec![false; batch.num_rows()])),
            None => new_null_array(&self.data_type, batch.num_rows()),
        };
        let Some(mut array) = batch.column_by_name(&self.path[0]).cloned() else {
            return Ok(missing());
        };
        for step in &self.path[1..] {
            let inner = match array.data_type() {
                DataType::Struct(_) => {
                    let object = array.as_struct();
                    let Some(inner) = object.column_by_name(step) else { return Ok(missing()) };
                    // What is in an object that is not there counts for nothing.
                    match object.nulls() {
                        None => inner.clone(),
                        Some(nulls) => nullif(inner, &BooleanArray::new(!nulls.inner(), None))?,
                    }
                }
                DataType::Map(..) => of_key(array.as_map(), step)?,
                _ => return Ok(missing()),
            };
            array = inner;
        }
        match &self.has {
            Some(text) => Ok(Arc::new(has(&array, text))),
            None => Ok(array),
        }
    }
}

/// What is at the end of a path, and how many of it are fields.
fn resolve(path: &[String]) -> Result<(DataType, usize), String> {
    let mut fields = schema().fields();
    for (at, step) in path.iter().enumerate() {
        let Some((_, field)) = fields.find(step) else {
            let name = path[..=at].join(".");
            return Err(format!("events have no field {name}"));
        };
        match field.data_type() {
            DataType::Struct(inner) if at + 1 < path.len() => fields = inner,
            other => return through_maps(other, &path[at + 1..]).map(|it| (it, at + 1)),
        }
    }
    Err("a name is missing".to_owned())
}

/// What is in a map, or in maps in it, under keys.
fn through_maps(from: &DataType, keys: &[String]) -> Result<DataType, String> {
    let Some((key, rest)) = keys.split_first() else { return Ok(from.clone()) };
    let DataType::Map(entry, _) = from else { return Err(format!("nothing has a field {key}")) };
    let DataType::Struct(entry) = entry.data_type() else {
        return Err(format!("nothing has a field {key}"));
    };
    through_maps(entry[1].data_type(), rest)
}

/// The values of a key; null where a map does not have it.
fn of_key(map: &MapArray, key: &str) -> Result<ArrayRef, ArrowError> {
    let keys: &StringArray = map.keys().as_string();
    let indices: Int32Array = (0..map.len())
        .map(|row| {
            let mut entries = map.value_offsets()[row]..map.value_offsets()[row + 1];
            entries.find(|&at| !map.is_null(row) && keys.value(at as usize) == key)
        })
        .collect();
    take(map.values(), &indices, None)
}

/// A list that is not there has nothing.
fn has(array: &ArrayRef, text: &str) -> BooleanArray {
    let Some(list) = array.as_list_opt::<i32>() else {
        return BooleanArray::from(vec![false; array.len()]);
    };
    let values: &StringArray = list.values().as_string();
    let has = |row: usize| {
        let mut entries = list.value_offsets()[row]..list.value_offsets()[row + 1];
        list.is_valid(row) && entries.any(|at| values.value(at as usize) == text)
    };
    (0..list.len()).map(|row| Some(has(row))).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::UInt32Array;
    use arrow_array::types::UInt32Type;
    use wanglou_api::event::v1::{Event, ParentProcess, Process};

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn what_is_in_an_object_that_is_not_there_counts_for_nothing() {
        let parent = ParentProcess { pid: Some(7), ..ParentProcess::default() };
        let process = Process { parent: Some(parent), ..Process::default() };
        let event = Event { process: Some(process), ..Event::default() };
        let batch = crate::schema::batch([&Event::default(), &event, &Event::default()]);
        let column = Column::value(path("process.parent.pid")).expect("a field");
        let array = column.of(&batch.expect("a batch")).expect("a column");
        let pids = array.as_primitive::<UInt32Type>();
        assert_eq!(pids, &UInt32Array::from(vec![None, Some(7), None]));
    }

    #[test]
    fn a_file_that_is_older_than_a_field_has_nothing_in_it() {
        let events = [Event::default(), Event::default()];
        let batch = crate::schema::batch(&events).expect("a batch");
        let old = batch.project(&[0]).expect("a part of it");
        for text in ["process.parent.pid", "wanglou.ledger.produced.exec"] {
            let column = Column::value(path(text)).expect("a field");
            assert_eq!(column.of(&old).expect("a column").null_count(), 2);
        }
        let column = Column::has(path("process.args"), "-x".to_owned()).expect("a list");
        assert_eq!(column.of(&old).expect("a column").as_boolean().false_count(), 2);
    }
}
