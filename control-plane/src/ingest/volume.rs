//! How much was told, by whom: for metrics, and for everybody's share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::identity::Name;

use super::share::Crowd;
use crate::view::View;

/// Pairs of datacentre and project that are told apart; the rest is one.
const GROUPS: usize = 500;
/// Hosts are counted anew after so long.
const COUNTED: Duration = Duration::from_secs(10);

/// Datacentre and project, as hosts are called; empty where they are not.
pub(crate) type Group = (String, String);

/// What a group has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) events: u64,
    /// As they came.
    pub(crate) bytes: u64,
}

/// All of it, since the replica began.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    by_group: Mutex<BTreeMap<Group, Volume>>,
    crowd: Mutex<Option<(Instant, Crowd)>>,
}

impl Volumes {
    pub(super) fn add(&self, view: &View, host: &Name, events: u64, bytes: u64) {
        let group = {
            let view = view.read();
            let label = |name: &str| {
                let host = view.host(host);
                host.and_then(|it| it.label(name)).unwrap_or_default().to_owned()
            };
            (label("datacentre"), label("project"))
        };
        let mut by_group = lock(&self.by_group);
        let group = if by_group.len() < GROUPS || by_group.contains_key(&group) {
            group
        } else {
            ("others".to_owned(), "others".to_owned())
        };
        let volume = by_group.entry(group).or_default();
        volume.events += events;
        volume.bytes += bytes;
    }

    /// As it stands.
    pub(crate) fn read(&self) -> BTreeMap<Group, Volume> {
        lock(&self.by_group).clone()
    }

    /// Hosts that are there, as of a moment ago.
    pub(super) fn crowd(&self, view: &View) -> Crowd {
        let mut kept = lock(&self.crowd);
        if let Some((at, crowd)) = &*kept
            && at.elapsed() < COUNTED
        {
            return crowd.clone();
        }
        let mut crowd = Crowd::default();
        let view = view.read();
        for host in view.after(None).filter(|host| host.state() == State::Alive) {
            crowd.all += 1;
            if let Some(datacentre) = host.label("datacentre") {
                *crowd.by_datacentre.entry(datacentre.to_owned()).or_default() += 1;
            }
        }
        *kept = Some((Instant::now(), crowd.clone()));
        crowd
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
