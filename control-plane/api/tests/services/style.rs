//! Proto files as AIP (<https://google.aip.dev>) and buf's rules have them.

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, MessageOptions};

use crate::descriptors::{self, comment};

/// Numbers of `FileDescriptorProto`'s and `DescriptorProto`'s fields, of which paths are made.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const NESTED: i32 = 3;
const NESTED_ENUMS: i32 = 4;
const METHODS: i32 = 2;

#[test]
fn every_call_says_what_it_does_and_who_may_call_it() {
    each_method(|file, method, about| {
        let who = about.split("May be called by: ").nth(1).unwrap_or_default();
        assert!(
            who.starts_with("a host")
                | who.starts_with("an operator")
                | who.starts_with("a replica"),
            "{}: {method} does not say who may call it",
            file.name()
        );
        assert!(
            about.trim().lines().count() >= 3,
            "{}: {method} does not say what it does",
            file.name()
        );
    });
}

#[test]
fn calls_are_named_as_the_field_does() {
    let set = descriptors::all();
    for service in descriptors::ours(&set).flat_map(|file| &file.service) {
        assert!(service.name().ends_with("Service"), "{}", service.name());
        service.method.iter().for_each(check_method);
    }
}

fn check_method(method: &prost_types::MethodDescriptorProto) {
    let name = method.name();
    // It would be the name of a client's constructor.
    assert_ne!(name, "Connect");
    assert!(
        method.input_type().ends_with(&format!(".{name}Request")),
        "{name}: {}",
        method.input_type()
    );
    let answer = method.output_type().rsplit('.').next().unwrap_or_default();
    // AIP-131, 134: what is got or changed is the resource itself.
    let of_resource = ["Get", "Update", "Stop", "Start"].iter().any(|verb| name.starts_with(verb));
    assert!(
        answer == format!("{name}Response") || of_resource && !answer.ends_with("Response"),
        "{name}: {answer}"
    );
}

#[test]
fn lists_have_pages_and_changes_have_request_ids() {
    each_message(|_, message, _, _| {
        let has = |field: &str| message.field.iter().any(|it| it.name() == field);
        let name = message.name();
        if let Some(of) = name.strip_suffix("Request") {
            // AIP-158.
            if of.starts_with("List") {
                assert!(has("page_size") && has("page_token"), "{name}");
            }
            // AIP-155.
            if ["Update", "Stop", "Start", "Run"].iter().any(|verb| of.starts_with(verb)) {
                assert!(has("request_id"), "{name}");
            }
        }
        if name.starts_with("List") && name.ends_with("Response") {
            assert!(has("next_page_token"), "{name}");
        }
    });
}

#[test]
fn everything_has_a_name_in_style_and_every_message_a_comment() {
    each_message(|file, message, about, path| {
        let name = message.name();
        let is_call = name.ends_with("Request") || name.ends_with("Response");
        let is_entry = message.options.as_ref().is_some_and(MessageOptions::map_entry);
        let is_of_ecs = file.package() == "wanglou.event.v1";
        assert!(
            is_call || is_entry || is_of_ecs || !about.trim().is_empty(),
            "{}: {name} has no comment",
            file.name()
        );
        assert!(
            name.chars().next().is_some_and(char::is_uppercase) && !name.contains('_'),
            "{name}"
        );
        for field in &message.field {
            let name = field.name();
            let is_snake =
                name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            assert!(is_snake, "{}: {name}", message.name());
            // AIP-142: a time ends with `_time`; of an event, it is called what ECS calls it.
            let is_time = field.type_name() == ".google.protobuf.Timestamp";
            assert!(!is_time || is_of_ecs || name.ends_with("_time"), "{}: {name}", message.name());
        }
        for (n, of) in message.enum_type.iter().enumerate() {
            let path = [path, &[NESTED_ENUMS, n as i32]].concat();
            check_enum(file, of, &path);
        }
    });
    let set = descriptors::all();
    for file in descriptors::ours(&set) {
        assert!(file.package().ends_with(".v1"), "{}: no version", file.package());
        assert!(file.name().starts_with(&file.package().replace('.', "/")), "{}", file.name());
        for (n, of) in file.enum_type.iter().enumerate() {
            check_enum(file, of, &[ENUMS, n as i32]);
        }
    }
}

/// AIP-126: the first is none, and all bear the name of the enum.
fn check_enum(file: &FileDescriptorProto, of: &EnumDescriptorProto, _path: &[i32]) {
    let prefix: String = of.name().chars().enumerate().fold(String::new(), |text, (n, c)| {
        let between = if n > 0 && c.is_uppercase() { "_" } else { "" };
        text + between + &c.to_uppercase().to_string()
    });
    assert_eq!(of.value[0].name(), format!("{prefix}_UNSPECIFIED"), "{}", file.name());
    assert!(of.value.iter().all(|it| it.name().starts_with(&format!("{prefix}_"))), "{prefix}");
}

fn each_method(check: impl Fn(&FileDescriptorProto, &str, &str)) {
    let set = descriptors::all();
    let mut methods = 0;
    for file in descriptors::ours(&set) {
        for (s, service) in file.service.iter().enumerate() {
            for (m, method) in service.method.iter().enumerate() {
                let about = comment(file, &[SERVICES, s as i32, METHODS, m as i32]);
                check(file, method.name(), about);
                methods += 1;
            }
        }
    }
    assert!(methods > 10, "{methods}");
}

/// A message, its comment and the path to it.
type CheckMessage<'a> = &'a dyn Fn(&FileDescriptorProto, &DescriptorProto, &str, &[i32]);

fn each_message(check: impl Fn(&FileDescriptorProto, &DescriptorProto, &str, &[i32])) {
    let set = descriptors::all();
    for file in descriptors::ours(&set) {
        for (n, message) in file.message_type.iter().enumerate() {
            walk(file, message, &[MESSAGES, n as i32], &check);
        }
    }
}

fn walk(
    file: &FileDescriptorProto,
    message: &DescriptorProto,
    path: &[i32],
    check: CheckMessage<'_>,
) {
    check(file, message, comment(file, path), path);
    for (n, nested) in message.nested_type.iter().enumerate() {
        walk(file, nested, &[path, &[NESTED, n as i32]].concat(), check);
    }
}
