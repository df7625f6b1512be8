//! How much each host may tell in a second, so that all of them together tell no more than they may.

use std::collections::BTreeMap;

/// What may come in a second, bytes; 0 for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// From the whole fleet.
    pub(crate) fleet: u64,
    /// From one datacentre.
    pub(crate) datacentre: u64,
}

/// Hosts that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crowd {
    /// All of them.
    pub(crate) all: u64,
    /// By what they call their datacentre.
    pub(crate) by_datacentre: BTreeMap<String, u64>,
}

/// No host is told less, bytes a second: a ledger has to come through.
const LEAST: u64 = 1_024;

impl Rates {
    /// The part of one host of a datacentre; 0 for any number.
    pub(crate) fn share(&self, crowd: &Crowd, datacentre: Option<&str>) -> u64 {
        let part = |rate: u64, hosts: u64| (rate > 0).then(|| (rate / hosts.max(1)).max(LEAST));
        let near = datacentre.and_then(|name| crowd.by_datacentre.get(name)).copied();
        let of_fleet = part(self.fleet, crowd.all);
        let of_datacentre = near.and_then(|hosts| part(self.datacentre, hosts));
        of_fleet.into_iter().chain(of_datacentre).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_the_same_part_of_what_is_scarcer() {
        let by_datacentre = BTreeMap::from([("ber".to_owned(), 10), ("hkg".to_owned(), 90)]);
        let crowd = Crowd { all: 100, by_datacentre };
        let rates = Rates { fleet: 10_000_000, datacentre: 500_000 };
        assert_eq!(rates.share(&crowd, Some("ber")), 50_000);
        assert_eq!(rates.share(&crowd, Some("hkg")), 5_555);
        assert_eq!(rates.share(&crowd, None), 100_000);
        assert_eq!(Rates::default().share(&crowd, Some("ber")), 0);
        assert_eq!(Rates { fleet: 1, datacentre: 0 }.share(&crowd, None), LEAST);
    }
}
