//! What was promised on the wire is kept: a field keeps its number and its type for as long as there is `v1`.

use std::collections::BTreeSet;
use std::fs;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto};

use crate::descriptors;

/// A line for everything that others may rely on. Lines may be added, by `WANGLOU_UPDATE=1`; whoever takes
/// one away takes it from somebody.
const PROMISED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/wire.txt");

#[test]
fn what_was_promised_is_kept() {
    let now = promises();
    let mut kept: BTreeSet<String> =
        fs::read_to_string(PROMISED).unwrap_or_default().lines().map(str::to_owned).collect();
    let broken: Vec<_> = kept.difference(&now).collect();
    assert!(broken.is_empty(), "promised, and gone: {broken:#?}");
    if std::env::var_os("WANGLOU_UPDATE").is_some() {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        fs::write(PROMISED, text).expect("the source tree can be written");
        kept.clone_from(&now);
    }
    let new: Vec<_> = now.difference(&kept).collect();
    assert!(
        new.is_empty(),
        "run `WANGLOU_UPDATE=1 cargo test -p wanglou-api` and commit: {new:#?}"
    );
}

fn promises() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let set = descriptors::all();
    for file in descriptors::ours(&set) {
        for service in &file.service {
            for method in &service.method {
                let stream = |on: bool| if on { "stream " } else { "" };
                let (asks, answers) = (method.client_streaming(), method.server_streaming());
                lines.insert(format!(
                    "{}.{}/{} {}{} -> {}{}",
                    file.package(),
                    service.name(),
                    method.name(),
                    stream(asks),
                    method.input_type(),
                    stream(answers),
                    method.output_type()
                ));
            }
        }
        for message in &file.message_type {
            of_message(file.package(), message, &mut lines);
        }
        for of in &file.enum_type {
            of_enum(file.package(), of, &mut lines);
        }
    }
    lines
}

fn of_message(above: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    let path = format!("{above}.{}", message.name());
    for field in &message.field {
        let kind = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().to_owned(),
            kind => kind.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
        };
        let many = if field.label() == Label::Repeated { "repeated " } else { "" };
        lines.insert(format!("{path}.{} = {} {many}{kind}", field.name(), field.number()));
    }
    for nested in &message.nested_type {
        of_message(&path, nested, lines);
    }
    for of in &message.enum_type {
        of_enum(&path, of, lines);
    }
}

fn of_enum(above: &str, of: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
    for value in &of.value {
        lines.insert(format!("{above}.{}.{} = {}", of.name(), value.name(), value.number()));
    }
}
