//! Rust from the schema: views, what writes them, and JSON of the messages that prost makes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::schema::{Field, Kind, Message, Schema};

/// The text of `src/generated/event.rs`.
pub(crate) fn views(schema: &Schema) -> String {
    let mut rust = String::from(HEAD);
    for (n, message) in schema.messages.iter().enumerate() {
        if message.name != "Counts" {
            view(schema, n, message, &mut rust);
            owned_json(message, &mut rust);
        }
    }
    rustfmt(&rust)
}

const HEAD: &str = "\
// Generated from `proto/wanglou/event/v1/event.proto`; do not edit. To make it anew:
// `WANGLOU_UPDATE=1 cargo test -p wanglou-api`

use std::collections::BTreeMap;

use super::json::{Json, Object};
use super::proto::{Message, Proto};
use super::{Strings, Timestamp, v1};
";

fn view(schema: &Schema, n: usize, message: &Message, rust: &mut String) {
    let path = path(schema, n);
    let comment = match (message.comment.is_empty(), path.is_empty()) {
        (false, _) => message.comment.clone(),
        (true, true) => panic!("{}: nobody uses it and no comment says why", message.name),
        (true, false) => format!("`{path}`."),
    };
    rust.push('\n');
    doc(&comment, rust);
    let lifetime = if borrows(schema, n) { "<'a>" } else { "" };
    rust.push_str("#[derive(Clone, Copy, Debug, Default)]\n");
    _ = writeln!(rust, "pub struct {}{lifetime} {{", message.name);
    for field in &message.fields {
        let path = join(&path, &field.json);
        match field.comment.is_empty() {
            true => doc(&format!("`{path}`."), rust),
            false => doc(&format!("`{path}`: {}", field.comment), rust),
        }
        _ = writeln!(rust, "pub {}: Option<{}>,", identifier(field), rust_type(schema, field));
    }
    rust.push_str("}\n");
    let lifetime = if borrows(schema, n) { "<'_>" } else { "" };
    json(message, lifetime, rust);
    proto(message, lifetime, rust);
}

fn json(message: &Message, lifetime: &str, rust: &mut String) {
    _ = writeln!(rust, "\nimpl Json for {}{lifetime} {{", message.name);
    rust.push_str("fn write_json(&self, out: &mut Vec<u8>) {\n");
    rust.push_str("let mut object = Object::new(out);\n");
    for field in &message.fields {
        let key = format!("\"{}\":", field.json);
        _ = writeln!(rust, "object.field({key:?}, self.{}.as_ref());", identifier(field));
    }
    rust.push_str("object.end();\n}\n}\n");
}

fn proto(message: &Message, lifetime: &str, rust: &mut String) {
    _ = writeln!(rust, "\nimpl Message for {}{lifetime} {{", message.name);
    rust.push_str("fn write_fields(&self, out: &mut Vec<u8>) {\n");
    // As everybody writes them, so that the same event has the same bytes.
    let mut fields: Vec<_> = message.fields.iter().collect();
    fields.sort_by_key(|field| field.number);
    for field in fields {
        let (name, number) = (identifier(field), field.number);
        _ = writeln!(rust, "self.{name}.write_proto({number}, out);");
    }
    rust.push_str("}\n}\n");
}

/// A list that is empty is absent, as on the wire; a map is not.
fn owned_json(message: &Message, rust: &mut String) {
    _ = writeln!(rust, "\nimpl Json for v1::{} {{", message.name);
    rust.push_str("fn write_json(&self, out: &mut Vec<u8>) {\n");
    rust.push_str("let mut object = Object::new(out);\n");
    for field in &message.fields {
        let (key, name) = (format!("\"{}\":", field.json), identifier(field));
        let value = match field.kind {
            Kind::Strings => format!("Some(&self.{name}).filter(|list| !list.is_empty())"),
            Kind::Counts | Kind::CountsByName => format!("Some(&self.{name})"),
            _ => format!("self.{name}.as_ref()"),
        };
        _ = writeln!(rust, "object.field({key:?}, {value});");
    }
    rust.push_str("object.end();\n}\n}\n");
}

fn identifier(field: &Field) -> String {
    let keyword = if field.name == "type" { "r#" } else { "" };
    format!("{keyword}{}", field.name)
}

fn doc(comment: &str, rust: &mut String) {
    for line in comment.lines() {
        _ = writeln!(rust, "/// {}", line.trim());
    }
}

fn rust_type(schema: &Schema, field: &Field) -> String {
    match field.kind {
        Kind::Scalar(name) => name.to_owned(),
        Kind::Str => "&'a str".to_owned(),
        Kind::Timestamp => "Timestamp".to_owned(),
        Kind::Strings => "Strings<'a>".to_owned(),
        Kind::Message(n) => {
            let lifetime = if borrows(schema, n) { "<'a>" } else { "" };
            format!("{}{lifetime}", schema.messages[n].name)
        }
        Kind::Counts => "&'a BTreeMap<String, u64>".to_owned(),
        Kind::CountsByName => "&'a BTreeMap<String, BTreeMap<String, u64>>".to_owned(),
    }
}

/// Whether a message, or one inside it, borrows.
fn borrows(schema: &Schema, n: usize) -> bool {
    schema.messages[n].fields.iter().any(|field| match field.kind {
        Kind::Scalar(_) | Kind::Timestamp => false,
        Kind::Message(inner) => borrows(schema, inner),
        Kind::Str | Kind::Strings | Kind::Counts | Kind::CountsByName => true,
    })
}

/// Where in an event's JSON a message stands first; empty for the event itself.
fn path(schema: &Schema, wanted: usize) -> String {
    fn find(schema: &Schema, at: usize, path: &str, wanted: usize) -> Option<String> {
        if at == wanted {
            return Some(path.to_owned());
        }
        schema.messages[at].fields.iter().find_map(|field| match field.kind {
            Kind::Message(n) => find(schema, n, &join(path, &field.json), wanted),
            _ => None,
        })
    }
    find(schema, 0, "", wanted).unwrap_or_default()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn rustfmt(rust: &str) -> String {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path", config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(rust.as_bytes()).expect("rustfmt reads");
    drop(stdin);
    let output = child.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success(), "rustfmt refuses:\n{rust}");
    String::from_utf8(output.stdout).expect("UTF-8 in, UTF-8 out")
}
