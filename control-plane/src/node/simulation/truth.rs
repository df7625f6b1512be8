//! What is so: which machines live, and which of them a replica can hear.

use wanglou_api::identity::Name;

use super::link::{Link, Wire};
use super::replica::Replica;
use crate::fleet::Millis;

/// Who is here for a shorter time may be away again before anybody is told.
const MOMENT: Millis = 2_000;

/// A machine of a host; most hosts have one.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Where it was welcomed, and over what.
    at: Option<(usize, Wire)>,
    /// It was welcomed once.
    has_been: bool,
    /// It said goodbye, and has not been heard since.
    pub(super) said_goodbye: bool,
    /// For how long no replica has heard it since one did for more than a moment.
    away: Option<Millis>,
    /// Since when one does.
    heard_since: Option<Millis>,
    looked: Millis,
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
        self.has_been = true;
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
        let step = now - std::mem::replace(&mut self.looked, now);
        if self.is_heard(replicas) {
            let since = *self.heard_since.get_or_insert(now);
            if now - since >= MOMENT {
                self.away = None;
            }
        } else if self.has_been {
            self.heard_since = None;
            self.away = Some(self.away.unwrap_or_default() + step);
        }
    }

    /// For how long nobody has heard of it; `None`: somebody does, or nobody ever has.
    pub(super) fn away(&self) -> Option<Millis> {
        self.away
    }

    pub(super) fn is_here(&self) -> bool {
        self.heard_since.is_some()
    }
}
