//! One event with everything in it: its JSON is checked in, and has what the proto file has.

use std::fs;

use prost::Message as _;
use serde_json::Value;
use wanglou_api::event::*;

use crate::full::with_full_event;
use crate::schema::{Kind, Schema};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/event.json");

#[test]
fn a_full_event_is_written_as_checked_in() {
    let now = format!("{:#}\n", full_event());
    if std::env::var_os("WANGLOU_UPDATE").is_some() {
        fs::write(GOLDEN, &now).expect("the source tree can be written");
    }
    let was = fs::read_to_string(GOLDEN).expect("tests/golden/event.json is checked in");
    assert_eq!(was, now, "run `WANGLOU_UPDATE=1 cargo test -p wanglou-api` and commit");
}

#[test]
fn every_field_of_the_proto_file_is_in_it_and_no_other() {
    compare(&Schema::load(), 0, &full_event(), "");
}

/// What is written as protobuf and read by prost is the same event, in JSON too.
#[test]
fn the_wire_has_what_the_json_has() {
    with_full_event(|event| {
        let mut wire = Vec::new();
        write_delimited(event, &mut wire);
        let read = v1::Event::decode_length_delimited(&*wire).expect("a message");
        assert_eq!(json(&read), json(event));
        assert_eq!(read.encode_length_delimited_to_vec(), wire, "as prost writes it");
    });
}

fn json(event: &impl Json) -> Value {
    let mut line = Vec::new();
    event.write_json(&mut line);
    serde_json::from_slice(&line).expect("JSON")
}

fn compare(schema: &Schema, message: usize, value: &Value, path: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("{path}: not an object"));
    let fields = &schema.messages[message].fields;
    for field in fields {
        let path = format!("{path}.{}", field.json);
        let value = object.get(&field.json).unwrap_or_else(|| panic!("{path}: missing"));
        match field.kind {
            Kind::Message(inner) => compare(schema, inner, value, &path),
            Kind::Scalar("bool") => assert!(value.is_boolean(), "{path}"),
            Kind::Scalar(_) => assert!(value.is_number(), "{path}"),
            Kind::Str | Kind::Timestamp => assert!(value.is_string(), "{path}"),
            Kind::Strings => assert!(value.is_array(), "{path}"),
            Kind::Counts | Kind::CountsByName => assert!(value.is_object(), "{path}"),
        }
    }
    assert_eq!(object.len(), fields.len(), "{path}: more than the proto file has");
}

fn full_event() -> Value {
    with_full_event(|event| json(event))
}
