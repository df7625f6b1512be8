use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Given, Place, Problem, Raw};

/// Far more than all settings need.
const MAX_BYTES: u64 = 1 << 20;

/// Adds what a file says.
pub(super) fn read(path: &Path, given: &mut Vec<Given>, problems: &mut Vec<Problem>) {
    match content(path) {
        Ok(text) => parse(path, &text, given, problems),
        Err(error) => {
            problems.push(Problem::new(Place::File(path.to_owned(), 1), error.to_string()));
        }
    }
}

fn content(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("more than {MAX_BYTES} bytes are no configuration")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

pub(super) fn parse(path: &Path, text: &str, given: &mut Vec<Given>, problems: &mut Vec<Problem>) {
    let place = |at: usize| {
        let before = text.as_bytes().get(..at).unwrap_or_default();
        Place::File(path.to_owned(), 1 + before.iter().filter(|&&byte| byte == b'\n').count())
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        problems.push(Problem::new(place(at), error.message().to_owned()));
    }
    walk("", table.get_ref(), &mut |path, raw, at| {
        given.push(Given { path, raw, place: place(at) });
    });
}

fn walk(above: &str, table: &DeTable<'_>, on: &mut dyn FnMut(String, Raw, usize)) {
    for (key, value) in table {
        let path = format!("{above}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => walk(&format!("{path}."), table, on),
            value => on(path, raw(value), key.span().start),
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Number(number.as_str().to_owned()),
        DeValue::Integer(number) => Raw::Number(in_decimal(number.as_str(), number.radix())),
        DeValue::Float(number) => Raw::Number(number.as_str().to_owned()),
        DeValue::Boolean(on) => Raw::Switch(*on),
        DeValue::Array(values) => {
            Raw::List(values.iter().map(|value| raw(value.get_ref())).collect())
        }
        DeValue::Datetime(_) => Raw::Other("date"),
        DeValue::Table(_) => Raw::Other("table"),
    }
}

fn in_decimal(digits: &str, radix: u32) -> String {
    u64::from_str_radix(digits, radix)
        .map_or_else(|_| digits.to_owned(), |number| number.to_string())
}
