use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// A string of a file.
    Text(String),
    /// A number of a file, digits as they stand.
    Number(String),
    /// `true` or `false` of a file.
    Switch(bool),
    /// Several.
    List(Vec<Raw>),
    /// What can only be text: that of variables and flags.
    Untyped(String),
    /// What no setting is: a date, a table.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(text) | Self::Untyped(text) => f.write_str(text),
            Self::Switch(on) => on.fmt(f),
            Self::List(values) => {
                f.write_str("[")?;
                for (n, value) in values.iter().enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Self::Other(what) => write!(f, "a {what}"),
        }
    }
}

impl Raw {
    /// A number in a range.
    pub fn number<T>(&self, range: RangeInclusive<T>) -> Result<T, String>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let text = match self {
            Self::Number(text) | Self::Untyped(text) => text,
            _ => "",
        };
        let number = text.replace('_', "").parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("it has to be from {} to {}", range.start(), range.end()))
    }

    /// On or off.
    pub fn switch(&self) -> Result<bool, String> {
        match self {
            Self::Switch(on) => Ok(*on),
            Self::Untyped(text) => text.parse().map_err(|_| TRUTH.to_owned()),
            _ => Err(TRUTH.to_owned()),
        }
    }

    /// Text that means something.
    pub fn text<T>(&self, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
        match self {
            Self::Text(text) | Self::Untyped(text) => parse(text),
            _ => Err("it has to be a string".to_owned()),
        }
    }

    /// Several of these; of a variable or a flag, with `between` between them.
    pub fn list<T>(
        &self,
        between: char,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        match self {
            Self::List(values) => values.iter().map(|value| value.text(&parse)).collect(),
            Self::Untyped(text) => text
                .split(between)
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(parse)
                .collect(),
            _ => Err("it has to be a list of strings".to_owned()),
        }
    }
}

const TRUTH: &str = "it has to be true or false";
