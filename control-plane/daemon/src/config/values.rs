//! How values are read and written, where more than one setting does it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;

use super::Raw;

/// One of a few words that the command line has too.
pub fn variant<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| one_of(T::value_variants().iter().map(name)))
}

/// The word for one of a few.
pub fn name(variant: &impl ValueEnum) -> String {
    variant.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The one of a few that has this name.
pub fn named<T: Copy, const N: usize>(
    text: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.into_iter().find(|it| name(*it) == text).ok_or_else(|| one_of(all.map(name)))
}

/// A path from the root: a service has no folder of its own.
pub fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("it has to begin with /".to_owned()) }
}

/// A number in a range, or 0 for no limit.
pub fn none_or<T>(raw: &Raw, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display + Default,
{
    raw.number(T::default()..=T::default())
        .or_else(|_| raw.number(range).map_err(|what| format!("{what}, or 0")))
}

/// What a value has to be, of which there are few.
pub fn one_of(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    format!("it has to be one of {}", values.join(", "))
}

/// A basic string of TOML.
pub fn quoted(text: impl Display) -> String {
    let mut quoted = String::from("\"");
    for c in text.to_string().chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// An array of them.
pub fn list(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<_> = values.into_iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}
