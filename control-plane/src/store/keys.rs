//! Names of keys, and what they hold. The values are JSON, for `etcdctl`.
//!
//! ```text
//! /wanglou/<fleet>/v1/live/<host>      a replica holds its stream: on a lease of that replica
//!                     end/<host>       how its last stream ended, if none is there
//!                     host/<host>      enrolment: labels, first seen
//!                     replica/<id>     addresses, version: on the replica's own lease
//!                     task/<name>      which replica does what only one may do: on a lease of its own
//!                     stop/<epoch>     an order; a second one of the same epoch has the start of its signature behind
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use wanglou_api::identity::Name;
use wanglou_api::order::v1::SignedOrder;

use crate::fleet::orders::Known;

/// The folder of a fleet.
#[derive(Clone, Debug)]
pub(crate) struct Folder(String);

impl Folder {
    pub(crate) fn of(fleet: &Name) -> Self {
        Self(format!("/wanglou/{fleet}/v1/"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn key(&self, kind: Kind, name: &str) -> String {
        format!("{}{}/{name}", self.0, kind.name())
    }

    /// What a key is, and of whom; `None` for those of others.
    pub(crate) fn parse<'k>(&self, key: &'k [u8]) -> Option<(Kind, &'k str)> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.0)?;
        let (kind, name) = rest.split_once('/')?;
        let kind = Kind::ALL.into_iter().find(|it| it.name() == kind)?;
        Some((kind, name))
    }
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Live,
    End,
    Host,
    Replica,
    Task,
    Stop,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Live, Self::End, Self::Host, Self::Replica, Self::Task, Self::Stop];

    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::End => "end",
            Self::Host => "host",
            Self::Replica => "replica",
            Self::Task => "task",
            Self::Stop => "stop",
        }
    }
}

/// Of `live/<host>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) replica: String,
    pub(crate) session: u64,
    /// Which start of the sensor: two that live are two machines.
    pub(crate) instance: String,
    /// Of the certificate, in hexadecimal.
    pub(crate) serial: String,
    /// By the replica's clock, RFC 3339.
    pub(crate) since: String,
}

/// Of `end/<host>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) replica: String,
    pub(crate) session: u64,
    /// It said so; else it was lost.
    pub(crate) goodbye: bool,
    /// By the replica's clock, RFC 3339.
    pub(crate) time: String,
}

/// Of `host/<host>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// By the clock of the replica that saw it first, RFC 3339.
    pub(crate) first_seen: String,
}

/// Of `replica/<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replica {
    /// `host:port`, the best first.
    pub(crate) addresses: Vec<String>,
    pub(crate) version: String,
    /// By its own clock, RFC 3339.
    pub(crate) since: String,
    #[serde(default)]
    pub(crate) draining: bool,
}

/// Of `stop/<epoch>`: the bytes that count, and what they say for whoever looks with `etcdctl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) kind: String,
    pub(crate) author: String,
    pub(crate) reason: String,
    /// A serialized `SignedOrder`, base64.
    pub(crate) signed: String,
}

impl Order {
    pub(crate) fn of(known: &Known) -> Self {
        let Known { signed, order, .. } = known;
        Self {
            kind: order.kind().as_str_name().trim_start_matches("KIND_").to_lowercase(),
            author: order.author.clone(),
            reason: order.reason.clone(),
            signed: STANDARD.encode(signed.encode_to_vec()),
        }
    }

    /// The order, which nobody has verified yet.
    pub(crate) fn parse(value: &[u8]) -> Option<SignedOrder> {
        let order: Self = serde_json::from_slice(value).ok()?;
        SignedOrder::decode(&*STANDARD.decode(order.signed).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_is_and_of_whom() {
        let folder = Folder::of(&"blue".parse().expect("a name"));
        let key = folder.key(Kind::Live, "web-1");
        assert_eq!(key, "/wanglou/blue/v1/live/web-1");
        assert_eq!(folder.parse(key.as_bytes()), Some((Kind::Live, "web-1")));
        for other in
            ["/wanglou/red/v1/live/web-1", "/wanglou/blue/v1/schema", "/wanglou/blue/v1/x/y", ""]
        {
            assert_eq!(folder.parse(other.as_bytes()), None, "{other}");
        }
        assert_eq!(folder.parse(b"/wanglou/blue/v1/live/\xff"), None);
    }
}
