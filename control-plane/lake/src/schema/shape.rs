//! What `event.proto` says of an event, as the descriptors of the services have it.

use std::sync::LazyLock;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// The message `wanglou.event.v1.Event`.
pub(crate) static EVENT: LazyLock<Shape> = LazyLock::new(|| {
    // They are a part of the program, and a test reads every field back.
    let set = FileDescriptorSet::decode(wanglou_api::DESCRIPTORS).unwrap_or_default();
    let file = set.file.into_iter().find(|file| file.package() == "wanglou.event.v1");
    let file = file.unwrap_or_default();
    Shape::of(&file, "Event")
});

/// A message.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// In the order of the file.
    pub(crate) fields: Vec<Field>,
    /// Where a field of a number is among them.
    by_number: Vec<Option<usize>>,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// That of the JSON.
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
}

/// What a field is made of.
#[derive(Debug)]
pub(crate) enum Kind {
    Bool,
    U32,
    U64,
    I32,
    I64,
    String,
    Strings,
    Timestamp,
    /// `map<string, uint64>`
    Counts,
    /// A map of messages that are one such map each.
    CountsByName,
    Message(Shape),
}

impl Shape {
    fn of(file: &FileDescriptorProto, name: &str) -> Self {
        let message = file.message_type.iter().find(|it| it.name() == name);
        let mut shape = Self::default();
        for field in message.iter().flat_map(|message| &message.field) {
            let number = usize::try_from(field.number()).unwrap_or(0);
            let Some(kind) = message.and_then(|message| Kind::of(file, message, field)) else {
                continue;
            };
            if shape.by_number.len() <= number {
                shape.by_number.resize(number + 1, None);
            }
            shape.by_number[number] = Some(shape.fields.len());
            let (name, number) = (json_name(field), number as u32);
            shape.fields.push(Field { name, number, kind });
        }
        shape
    }

    /// Which of the fields has a number.
    #[inline]
    pub(crate) fn position(&self, number: u32) -> Option<usize> {
        self.by_number.get(number as usize).copied().flatten()
    }

    /// The field of a number.
    #[inline]
    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        self.position(number).map(|at| &self.fields[at])
    }
}

impl Kind {
    fn of(
        file: &FileDescriptorProto,
        message: &DescriptorProto,
        field: &FieldDescriptorProto,
    ) -> Option<Self> {
        let is_repeated = field.label() == Label::Repeated;
        let type_name = field.type_name().rsplit('.').next().unwrap_or_default();
        Some(match field.r#type() {
            Type::String if is_repeated => Self::Strings,
            Type::Message if is_repeated => {
                let entry = message.nested_type.iter().find(|it| it.name() == type_name)?;
                match entry.field.get(1)?.r#type() {
                    Type::Uint64 => Self::Counts,
                    Type::Message => Self::CountsByName,
                    _ => return None,
                }
            }
            Type::Message if field.type_name() == ".google.protobuf.Timestamp" => Self::Timestamp,
            Type::Message => Self::Message(Shape::of(file, type_name)),
            Type::Bool => Self::Bool,
            Type::Uint32 => Self::U32,
            Type::Uint64 => Self::U64,
            Type::Int32 => Self::I32,
            Type::Int64 => Self::I64,
            Type::String => Self::String,
            _ => return None,
        })
    }
}

/// The name that the file states, or the field's own: a compiler fills in camelCase for none.
fn json_name(field: &FieldDescriptorProto) -> String {
    match field.json_name() {
        stated if stated.starts_with('@') => stated.to_owned(),
        _ => field.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_file_has_a_place() {
        let set = FileDescriptorSet::decode(wanglou_api::DESCRIPTORS).expect("descriptors");
        let file = set.file.into_iter().find(|file| file.package() == "wanglou.event.v1");
        let file = file.expect("the events' own");
        check(&file, "Event", &EVENT);
    }

    fn check(file: &FileDescriptorProto, name: &str, shape: &Shape) {
        let message = file.message_type.iter().find(|it| it.name() == name).expect("a message");
        assert_eq!(shape.fields.len(), message.field.len(), "{name}: a field of a new kind");
        for field in &message.field {
            let ours = shape.field(field.number() as u32).expect("a field");
            assert_eq!(ours.name.trim_start_matches('@'), field.name());
            if let Kind::Message(inner) = &ours.kind {
                check(file, field.type_name().rsplit('.').next().expect("a name"), inner);
            }
        }
    }
}
