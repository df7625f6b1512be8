//! From a record of the ring to an observation. Bytes are parsed, never transmuted; what does not
//! fit its layout is refused, and the refusal is counted by the caller.

mod cgroup;
mod connection;
mod credentials;
mod exec;
mod exit;
mod flow;
mod fork;
mod path;

use thiserror::Error;
use wanglou_sensor_common::event::{Comm, Ids as RawIds};
use wanglou_sensor_common::{Header, Kind, LAYOUT_VERSION};
use zerocopy::FromBytes;

use crate::observation::{Ids, Observation, Provider, State};

/// Why a record was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// Shorter than its layout, or than it says.
    #[error("a record of {0} bytes is cut short")]
    Short(usize),
    /// Written by other probes than ours.
    #[error("a record has layout version {0}, not {LAYOUT_VERSION}")]
    Version(u16),
    /// No kind that we know.
    #[error("a record has unknown kind {0}")]
    Kind(u16),
    /// Neither IPv4 nor IPv6.
    #[error("a record has unknown address family {0}")]
    Family(u16),
}

/// Decodes records; keeps the room that paths are turned round in.
#[derive(Debug, Default)]
pub struct Decoder {
    executable: Vec<u8>,
    working_directory: Vec<u8>,
}

impl Decoder {
    /// Decodes one record.
    pub fn decode<'a>(&'a mut self, record: &'a [u8]) -> Result<Observation<'a>, Refused> {
        let (header, body) = parse::<Header>(record)?;
        if header.version != LAYOUT_VERSION {
            return Err(Refused::Version(header.version));
        }
        let kind = Kind::try_from(header.kind).map_err(Refused::Kind)?;
        if header.len as usize != record.len() {
            return Err(Refused::Short(record.len()));
        }
        let (action, state) = match kind {
            Kind::Fork => fork::decode(body)?,
            Kind::Exec => exec::decode(self, body, false)?,
            Kind::Existing => exec::decode(self, body, true)?,
            Kind::Exit => exit::decode(body)?,
            Kind::Credentials => credentials::decode(body)?,
            Kind::Listen | Kind::Attempt | Kind::Accept | Kind::Disconnect | Kind::Open => {
                connection::decode(body, kind)?
            }
            Kind::Flow => flow::decode(body)?,
            Kind::Cgroup => cgroup::decode(body),
        };
        Ok(Observation {
            time: header.time,
            provider: Provider::Ebpf,
            pid: header.pid,
            start: known(header.start),
            state: State { cgroup: known(header.cgroup), ..state },
            action,
            incomplete: false,
        })
    }
}

/// The length that a record says it has; of several in a row it tells where the next begins.
pub fn record_len(bytes: &[u8]) -> Result<usize, Refused> {
    let (header, _) = parse::<Header>(bytes)?;
    let len = header.len as usize;
    if len >= size_of::<Header>() && len <= bytes.len() {
        Ok(len)
    } else {
        Err(Refused::Short(len))
    }
}

/// The kind of a record, if it is at least a header.
pub fn kind(record: &[u8]) -> Option<Kind> {
    let (header, _) = parse::<Header>(record).ok()?;
    Kind::try_from(header.kind).ok()
}

/// Copies the front of `bytes` out: records of an iterator are not aligned.
fn parse<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), Refused> {
    T::read_from_prefix(bytes).map_err(|_| Refused::Short(bytes.len()))
}

/// Splits off a variable part.
fn take<'a>(rest: &mut &'a [u8], len: u32) -> Result<&'a [u8], Refused> {
    let (part, behind) = rest.split_at_checked(len as usize).ok_or(Refused::Short(rest.len()))?;
    *rest = behind;
    Ok(part)
}

/// Zero stands for "unknown" in records.
fn known<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn state(ids: RawIds, name: &[u8], real_parent: u32) -> State<'_> {
    State {
        name: Some(name),
        user: Some(Ids { real: ids.uid, effective: ids.euid }),
        group: Some(Ids { real: ids.gid, effective: ids.egid }),
        real_parent: known(real_parent),
        ..State::default()
    }
}

/// The `comm` at an offset of a body that has been parsed.
fn comm(body: &[u8], offset: usize) -> &[u8] {
    until_nul(body.get(offset..offset + size_of::<Comm>()).unwrap_or_default())
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
