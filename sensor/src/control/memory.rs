//! What the fleet said last, which counts until it says something else.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use wanglou_api::sensor::v1::{Endpoints, Welcome};

use super::endpoint::{Endpoint, MAX_ENDPOINTS};
use super::random::shuffle;
use super::session::span;
use super::store::Kept;

/// Where no replica has said for how long a host may be silent.
const GRACE: Duration = Duration::from_secs(60);
const LEAST_GRACE: Duration = Duration::from_secs(2);
const MOST_GRACE: Duration = Duration::from_secs(900);
/// Bytes that are kept, at most.
const MAX_BYTES: usize = 256 << 10;

/// The last welcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Welcome);

impl Memory {
    /// As it was kept.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        Ok(Self(Kept::Welcome.read(folder)?.unwrap_or_default()))
    }

    /// What the fleet knows this host as.
    pub(super) fn labels(&self) -> &BTreeMap<String, String> {
        &self.0.labels
    }

    /// For how long this host may be silent before it is called lost.
    pub(super) fn grace(&self) -> Duration {
        let grace = span(self.0.grace.as_ref()).filter(|grace| !grace.is_zero());
        grace.map_or(GRACE, |grace| grace.clamp(LEAST_GRACE, MOST_GRACE))
    }

    /// A replica has said what is so now: the bytes to keep, if they are others than before.
    pub(super) fn welcomed(&mut self, welcome: Welcome) -> Option<Vec<u8>> {
        let mut new = welcome;
        // Who says nothing of others does not say that there are none.
        new.endpoints = new.endpoints.or_else(|| self.0.endpoints.clone());
        if !new.labels_known {
            new.labels.clone_from(&self.0.labels);
        }
        (new.replica_id, new.labels_known) = (String::new(), false);
        self.replace(new)
    }

    /// The same of where replicas are.
    pub(super) fn refreshed(&mut self, endpoints: Endpoints) -> Option<Vec<u8>> {
        self.replace(Welcome { endpoints: Some(endpoints), ..self.0.clone() })
    }

    fn replace(&mut self, mut new: Welcome) -> Option<Vec<u8>> {
        if let Some(endpoints) = &mut new.endpoints {
            endpoints.addresses.truncate(MAX_ENDPOINTS);
        }
        if new == self.0 {
            return None;
        }
        self.0 = new;
        let bytes = self.0.encode_to_vec();
        (bytes.len() <= MAX_BYTES).then_some(bytes)
    }

    /// Where to look for a replica, in this order. What replicas have said comes as they said it; between that comes what
    /// is configured, by chance: nothing that a replica says can hide it.
    pub(super) fn round(
        &self,
        configured: &[Endpoint],
        random: impl FnMut() -> u64,
    ) -> VecDeque<Endpoint> {
        let said = self.0.endpoints.iter().flat_map(|it| &it.addresses);
        let mut said = said.filter_map(|text| text.parse::<Endpoint>().ok());
        let mut own = configured.to_vec();
        shuffle(&mut own, random);
        let mut own = own.into_iter();
        let mut round = VecDeque::new();
        loop {
            let pair = [said.next(), own.next()];
            if pair == [None, None] {
                return round;
            }
            for endpoint in pair.into_iter().flatten() {
                if !round.contains(&endpoint) {
                    round.push_back(endpoint);
                }
            }
        }
    }
}

/// Takes the next of a round; the one that was just `left` only where there is no other.
pub(super) fn next_of(
    round: &mut VecDeque<Endpoint>,
    left: &mut Option<SocketAddr>,
) -> Option<Endpoint> {
    let first = round.pop_front()?;
    if left.is_some_and(|left| first == Endpoint::Address(left)) && !round.is_empty() {
        *left = None;
        round.push_back(first);
        return round.pop_front();
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
        texts.iter().map(|text| text.parse().expect("an endpoint")).collect()
    }

    fn said(addresses: &[&str]) -> Endpoints {
        Endpoints { addresses: addresses.iter().map(|&text| text.to_owned()).collect() }
    }

    #[test]
    fn what_is_configured_is_tried_whatever_replicas_say() {
        let mut memory = Memory::default();
        assert!(memory.refreshed(said(&["10.0.0.1:1", "nonsense", "10.0.0.2:1"])).is_some());
        let round = memory.round(&endpoints(&["a:1", "10.0.0.1:1"]), || 0);
        let round: Vec<_> = round.into_iter().map(|it| it.to_string()).collect();
        assert_eq!(round.len(), 3, "{round:?}");
        assert_eq!(round[0], "10.0.0.1:1");
        assert!(round.contains(&"a:1".to_owned()));
        assert_eq!(Memory::default().round(&endpoints(&["a:1"]), || 0), endpoints(&["a:1"]));
    }

    #[test]
    fn only_news_is_kept() {
        let mut memory = Memory::default();
        let welcome = Welcome {
            labels: [("project".to_owned(), "web".to_owned())].into(),
            labels_known: true,
            endpoints: Some(said(&["a:1"])),
            ..Welcome::default()
        };
        let of =
            |id: &str, welcome: &Welcome| Welcome { replica_id: id.to_owned(), ..welcome.clone() };
        assert!(memory.welcomed(of("one", &welcome)).is_some());
        assert!(memory.welcomed(of("two", &welcome)).is_none(), "another replica is no news");
        assert!(memory.welcomed(Welcome { endpoints: None, ..welcome.clone() }).is_none());
        let knows_nothing = Welcome { labels: [].into(), labels_known: false, ..welcome };
        assert!(memory.welcomed(knows_nothing).is_none(), "it is called what it was");
        assert_eq!(memory.round(&[], || 0), endpoints(&["a:1"]));
        assert!(memory.refreshed(said(&[])).is_some());
        assert_eq!((memory.labels().len(), memory.grace()), (1, GRACE));
    }

    #[test]
    fn one_that_was_left_is_the_last_resort() {
        let left = "10.0.0.1:1".parse().expect("an address");
        let mut round: VecDeque<_> = endpoints(&["10.0.0.1:1", "10.0.0.2:1"]).into();
        let mut leaving = Some(left);
        let mut next = || next_of(&mut round, &mut leaving).map(|it| it.to_string());
        assert_eq!(next().as_deref(), Some("10.0.0.2:1"));
        assert_eq!(next().as_deref(), Some("10.0.0.1:1"));
        assert_eq!(next(), None);
        let mut alone: VecDeque<_> = endpoints(&["10.0.0.1:1"]).into();
        assert!(next_of(&mut alone, &mut Some(left)).is_some());
    }
}
