//! Rules as words: see `Rules` in `sensor-common`.

use std::collections::BTreeMap;

use wanglou_sensor_common::Rules;

use super::Filter;
use super::rule::{Direction, Rule};

/// Prefixes, each with the rules of the shorter ones that it lies in, for a trie that finds the longest.
pub type Trie = BTreeMap<(Vec<u8>, u32), u64>;

/// What the probes look up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// What needs no lookup.
    pub rules: Rules,
    /// By address: 16 bytes, and how many bits of them count.
    pub addresses: Trie,
    /// By port; empty if no rule names one.
    pub ports: Vec<u64>,
    /// By real user id.
    pub users: BTreeMap<u32, u64>,
    /// By path; only the rules that name the cgroup.
    pub cgroups: BTreeMap<String, u64>,
    /// By [`executable_key`].
    pub executables: Trie,
}

impl Tables {
    /// Of all the rules.
    pub fn of(filter: &Filter) -> Self {
        let rules = filter.rules();
        let with = |holds: &dyn Fn(&Rule) -> bool| {
            bits(rules).filter(|(_, rule)| holds(rule)).fold(0, |all, (bit, _)| all | bit)
        };
        let goes = |direction| {
            move |rule: &Rule| rule.directions.is_empty() || rule.directions.contains(&direction)
        };
        let words = Rules {
            all: with(&|_| true),
            drop: with(&|rule| rule.drops),
            egress: with(&goes(Direction::Egress)),
            ingress: with(&goes(Direction::Ingress)),
            listen: with(&goes(Direction::Listen)),
            any_address: with(&|rule| rule.addresses.is_empty()),
            any_port: with(&|rule| rule.ports.is_empty()),
            any_user: with(&|rule| rule.users.is_empty()),
            any_cgroup: with(&|rule| rule.cgroups.is_empty()),
            any_executable: with(&|rule| rule.executables.is_empty()),
        };
        let (mut users, mut cgroups) = (BTreeMap::new(), BTreeMap::new());
        let (mut addresses, mut executables) = (Trie::new(), Trie::new());
        for (bit, rule) in bits(rules) {
            for &user in &rule.users {
                *users.entry(user).or_insert(words.any_user) |= bit;
            }
            for path in &rule.cgroups {
                *cgroups.entry(path.clone()).or_insert(0) |= bit;
            }
            for range in &rule.addresses {
                let key = (range.network().octets().to_vec(), range.prefix_len().into());
                *addresses.entry(key).or_insert(words.any_address) |= bit;
            }
            for path in &rule.executables {
                let key = executable_key(path);
                let bits = key.len() as u32 * u8::BITS;
                *executables.entry((key, bits)).or_insert(words.any_executable) |= bit;
            }
        }
        Self {
            rules: words,
            addresses: inherit(&addresses),
            ports: ports(rules, &words),
            users,
            cgroups,
            executables: inherit(&executables),
        }
    }
}

/// The names of a path from the last to the first, each ended by a NUL, as the probes walk it; one more
/// NUL ends a whole path.
pub(super) fn executable_key(path: &str) -> Vec<u8> {
    let names = path.strip_prefix('/').unwrap_or(path);
    let mut key = names.rsplit('/').flat_map(|name| [name.as_bytes(), b"\0"]).collect::<Vec<_>>();
    if path.starts_with('/') {
        key.push(b"\0");
    }
    key.concat()
}

fn bits(rules: &[Rule]) -> impl Iterator<Item = (u64, &Rule)> {
    rules.iter().enumerate().map(|(n, rule)| (1 << n, rule))
}

fn ports(rules: &[Rule], words: &Rules) -> Vec<u64> {
    if words.any_port == words.all {
        return Vec::new();
    }
    let mut ports = vec![words.any_port; usize::from(u16::MAX) + 1];
    for (bit, rule) in bits(rules) {
        for range in &rule.ports {
            for port in range.clone() {
                ports[usize::from(port)] |= bit;
            }
        }
    }
    ports
}

fn inherit(prefixes: &Trie) -> Trie {
    let shorter = |key: &(Vec<u8>, u32)| {
        prefixes
            .iter()
            .filter(|(other, _)| lies_in(key, other))
            .fold(0, |all, (_, rules)| all | rules)
    };
    prefixes.keys().map(|key| (key.clone(), shorter(key))).collect()
}

/// Whether the first `bits` of one are those of the other.
fn lies_in((bytes, len): &(Vec<u8>, u32), (others, bits): &(Vec<u8>, u32)) -> bool {
    let (whole, rest) = ((bits / u8::BITS) as usize, bits % u8::BITS);
    let same_rest = || {
        let mask = !(u8::MAX >> rest);
        rest == 0 || bytes[whole] & mask == others[whole] & mask
    };
    bits <= len && bytes[..whole] == others[..whole] && same_rest()
}
