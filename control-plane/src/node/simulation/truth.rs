//! What is so: which machines live, and which of them a replica can hear.

use wanglou_api::identity::Name;

use super::link::{Link, Wire};
use super::replica::Replica;
use crate::fleet::Millis;

/// A machine of a host; most hosts have one.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Where it was welcomed, and over what.
    at: Option<(usize, Wire)>,
    /// It was welcomed once.
    has_been: bool,
    /// It said goodbye, and has not been welcomed since.
    pub(super) said_goodbye: bool,
    /// Since when no replica can hear it.
    away_since: Option<Millis>,
}

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Name,
    pub(super) machines: Vec<Machine>,
}

impl Machine {
    pub(super) fn welcomed(&mut self, replica: usize, wire: &Wire) {
        self.at = Some((replica, wire.clone()));
        (self.has_been, self.said_goodbye) = (true, false);
    }

    pub(super) fn left(&mut self) {
        self.at = None;
    }

    /// Whether a replica hears it, and may tell others.
    fn is_heard(&self, replicas: &[std::sync::Arc<Replica>]) -> bool {
        let Some((replica, wire)) = &self.at else { return false };
        let replica = &replicas[*replica];
        wire.is() == Link::Open && replica.is_up() && replica.is_awake() && !replica.is_mute()
    }

    /// Looks, at a time.
    pub(super) fn look(&mut self, replicas: &[std::sync::Arc<Replica>], now: Millis) {
        if self.is_heard(replicas) {
            self.away_since = None;
        } else if self.has_been {
            self.away_since.get_or_insert(now);
        }
    }

    /// For how long nobody has heard of it; `None`: somebody does, or nobody ever has.
    pub(super) fn away(&self, now: Millis) -> Option<Millis> {
        self.away_since.map(|since| now - since)
    }

    pub(super) fn is_here(&self) -> bool {
        self.has_been && self.away_since.is_none()
    }
}
