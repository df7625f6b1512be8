use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};
use thiserror::Error;
use wanglou_sensor_common::{EXECUTABLE_MAX, RULES_MAX};

use super::tables::executable_key;

/// Why text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The first word.
    #[error("a rule begins with `keep` or `drop`, not with `{0}`")]
    Verdict(String),
    /// A word without `=`, or with one that nothing is known by.
    #[error(
        "`{0}` is no condition: direction=, address=, port=, uid=, cgroup= and executable= are"
    )]
    Condition(String),
    /// What stands behind the `=`.
    #[error("`{value}` is no {what}")]
    Value {
        /// As it was written.
        value: String,
        /// What it should be.
        what: &'static str,
    },
    /// More than there are bits.
    #[error("{0} rules are too many: {RULES_MAX} is the most")]
    TooMany(usize),
}

/// Which way a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Opened from here.
    Egress,
    /// Taken.
    Ingress,
    /// A socket that listens.
    Listen,
}

/// `drop direction=egress address=10.0.0.0/8,fd00::/8 port=443,8000-8100`: it holds if all its
/// conditions do, and a condition if one of its values does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    text: String,
    /// It drops; otherwise it keeps.
    pub(super) drops: bool,
    pub(super) directions: Vec<Direction>,
    pub(super) addresses: Vec<Ipv6Net>,
    pub(super) ports: Vec<RangeInclusive<u16>>,
    pub(super) users: Vec<u32>,
    pub(super) cgroups: Vec<String>,
    pub(super) executables: Vec<String>,
}

/// As it was written.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut words = text.split_whitespace();
        let drops = match words.next().unwrap_or_default() {
            "keep" => false,
            "drop" => true,
            other => return Err(RuleError::Verdict(other.to_owned())),
        };
        let mut rule = Self {
            text: text.to_owned(),
            drops,
            directions: Vec::new(),
            addresses: Vec::new(),
            ports: Vec::new(),
            users: Vec::new(),
            cgroups: Vec::new(),
            executables: Vec::new(),
        };
        for word in words {
            let unknown = || RuleError::Condition(word.to_owned());
            let (key, values) = word.split_once('=').ok_or_else(unknown)?;
            let values = values.split(',');
            match key {
                "direction" => add(&mut rule.directions, values, DIRECTION, direction)?,
                "address" => add(&mut rule.addresses, values, ADDRESS, address)?,
                "port" => add(&mut rule.ports, values, PORT, ports)?,
                "uid" => add(&mut rule.users, values, "user id", |text| text.parse().ok())?,
                "cgroup" => add(&mut rule.cgroups, values, CGROUP, cgroup)?,
                "executable" => add(&mut rule.executables, values, EXECUTABLE, executable)?,
                _ => return Err(unknown()),
            }
        }
        Ok(rule)
    }
}

const DIRECTION: &str = "direction: egress, ingress and listen are";
const ADDRESS: &str = "address or range like 192.0.2.1, 10.0.0.0/8 or fd00::/8";
const PORT: &str = "port or range like 443 or 8000-8100";
const CGROUP: &str = "cgroup: its path from the root of the hierarchy, as in /proc/PID/cgroup, is";
const EXECUTABLE: &str =
    "executable: a path of at most 255 bytes or the last names of one, like curl, is";

fn add<'a, T>(
    to: &mut Vec<T>,
    values: impl Iterator<Item = &'a str>,
    what: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<(), RuleError> {
    for value in values {
        let wrong = || RuleError::Value { value: value.to_owned(), what };
        to.push(parse(value).ok_or_else(wrong)?);
    }
    Ok(())
}

fn direction(text: &str) -> Option<Direction> {
    Some(match text {
        "egress" => Direction::Egress,
        "ingress" => Direction::Ingress,
        "listen" => Direction::Listen,
        _ => return None,
    })
}

/// All addresses are compared as of IPv6, those of IPv4 mapped into it (RFC 4291, 2.5.5.2).
fn address(text: &str) -> Option<Ipv6Net> {
    const MAPPED_BITS: u8 = 96;
    let net = match text.parse() {
        Ok(net) => net,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    match net {
        IpNet::V4(net) => {
            Ipv6Net::new(net.network().to_ipv6_mapped(), MAPPED_BITS + net.prefix_len()).ok()
        }
        IpNet::V6(net) => Some(net.trunc()),
    }
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

fn cgroup(text: &str) -> Option<String> {
    let is_plain = text.starts_with('/') && text.split('/').all(|name| name != "..");
    is_plain.then(|| text.to_owned())
}

fn executable(text: &str) -> Option<String> {
    let names = text.strip_prefix('/').unwrap_or(text);
    let has_names = names.split('/').all(|name| !name.is_empty() && name != "." && name != "..");
    (has_names && executable_key(text).len() <= EXECUTABLE_MAX).then(|| text.to_owned())
}
