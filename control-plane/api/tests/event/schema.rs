//! What `event.proto` says, as the generator and the golden test want to hear it.

use std::collections::HashMap;
use std::path::Path;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// The messages of the file, in its order.
pub(crate) struct Schema {
    pub(crate) messages: Vec<Message>,
}

pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: i32,
    /// The key in JSON.
    pub(crate) json: String,
    pub(crate) comment: String,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// The Rust type of a number or a boolean.
    Scalar(&'static str),
    Str,
    Timestamp,
    Strings,
    /// Of another message here, by its index.
    Message(usize),
    /// `map<string, uint64>`
    Counts,
    /// A map of messages that are one such map each, and that map in JSON.
    CountsByName,
}

/// Message descriptors by their names in the file.
type Index = HashMap<String, usize>;

impl Schema {
    pub(crate) fn load() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let mut compiler = protox::Compiler::new([root]).expect("a folder of proto files");
        compiler.include_source_info(true);
        compiler.open_file("wanglou/event/v1/event.proto").expect("event.proto compiles");
        let files = compiler.file_descriptor_set().file;
        let file = files.into_iter().find(|f| f.name().ends_with("event.proto"));
        Self::new(&file.expect("the file that was opened"))
    }

    fn new(file: &FileDescriptorProto) -> Self {
        let comments = comments(file);
        let index: Index = file
            .message_type
            .iter()
            .enumerate()
            .map(|(n, m)| (format!(".{}.{}", file.package(), m.name()), n))
            .collect();
        let message = |(n, m): (usize, &DescriptorProto)| {
            let message = n as i32;
            Message {
                name: m.name().to_owned(),
                comment: comments.get(&vec![4, message]).cloned().unwrap_or_default(),
                fields: m
                    .field
                    .iter()
                    .enumerate()
                    .map(|(n, field)| Field {
                        name: field.name().to_owned(),
                        number: field.number(),
                        json: json_name(field),
                        comment: comments
                            .get(&vec![4, message, 2, n as i32])
                            .cloned()
                            .unwrap_or_default(),
                        kind: kind(m, field, &index),
                    })
                    .collect(),
            }
        };
        Self { messages: file.message_type.iter().enumerate().map(message).collect() }
    }
}

/// The comment above each element, by its path in the descriptor.
fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations
        .filter(|l| l.leading_comments.is_some())
        .map(|l| (l.path.clone(), l.leading_comments().trim().to_owned()))
        .collect()
}

/// The name that the file states, or the field's own: a compiler fills in camelCase for none.
fn json_name(field: &FieldDescriptorProto) -> String {
    let mut camel = String::new();
    for part in field.name().split('_') {
        let mut letters = part.chars();
        let first = letters.next().into_iter();
        match camel.is_empty() {
            true => camel.extend(first),
            false => camel.extend(first.map(|c| c.to_ascii_uppercase())),
        }
        camel.extend(letters);
    }
    match field.json_name() {
        name if name.is_empty() || name == camel => field.name().to_owned(),
        name => name.to_owned(),
    }
}

fn kind(message: &DescriptorProto, field: &FieldDescriptorProto, index: &Index) -> Kind {
    let name = format!("{}.{}", message.name(), field.name());
    let repeated = field.label() == Label::Repeated;
    match field.r#type() {
        Type::String if repeated => Kind::Strings,
        Type::Message if repeated => map(message, field, &name),
        _ if repeated => panic!("{name}: no list of these yet"),
        Type::Message if field.type_name() == ".google.protobuf.Timestamp" => Kind::Timestamp,
        Type::Message => Kind::Message(index[field.type_name()]),
        _ if !field.proto3_optional() => panic!("{name}: absent must differ from zero: optional"),
        Type::String => Kind::Str,
        Type::Bool => Kind::Scalar("bool"),
        Type::Uint32 => Kind::Scalar("u32"),
        Type::Uint64 => Kind::Scalar("u64"),
        Type::Int32 => Kind::Scalar("i32"),
        Type::Int64 => Kind::Scalar("i64"),
        other => panic!("{name}: no view of {other:?} yet"),
    }
}

fn map(message: &DescriptorProto, field: &FieldDescriptorProto, name: &str) -> Kind {
    let entry = field.type_name().rsplit('.').next().expect("a name");
    let entry = message.nested_type.iter().find(|m| m.name() == entry);
    let [key, value] = &entry.unwrap_or_else(|| panic!("{name}: not a map")).field[..] else {
        panic!("{name}: not a map");
    };
    match (key.r#type(), value.r#type()) {
        (Type::String, Type::Uint64) => Kind::Counts,
        (Type::String, Type::Message) if value.type_name().ends_with(".Counts") => {
            Kind::CountsByName
        }
        other => panic!("{name}: no view of a map of {other:?} yet"),
    }
}
