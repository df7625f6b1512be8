//! Fills the tables in which the probes look rules up.

use std::collections::BTreeMap;

use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, MapError};
use thiserror::Error;
use wanglou_sensor_common::EXECUTABLE_MAX;

use crate::filter::{Tables, Trie};
use crate::log::ids;
use crate::procfs::cgroup::Cgroups;

/// Why rules cannot be looked up.
#[derive(Debug, Error)]
pub(super) enum RulesError {
    /// It is not in the object.
    #[error("there is no map {0}")]
    Missing(&'static str),
    /// More values than it has room for.
    #[error("rules name more values than {map} has room for: {error}")]
    Full {
        /// Its name.
        map: &'static str,
        /// What the kernel says.
        error: MapError,
    },
}

/// Writes all of them.
pub(super) fn fill(ebpf: &mut Ebpf, tables: &Tables) -> Result<(), RulesError> {
    fill_trie::<16>(ebpf, "ADDRESS_RULES", &tables.addresses)?;
    fill_trie::<EXECUTABLE_MAX>(ebpf, "EXECUTABLE_RULES", &tables.executables)?;
    if !tables.ports.is_empty() {
        let name = "PORT_RULES";
        let full = |error| RulesError::Full { map: name, error };
        let map = ebpf.map_mut(name).ok_or(RulesError::Missing(name))?;
        let mut ports = Array::<_, u64>::try_from(map).map_err(full)?;
        for (port, &rules) in (0..).zip(&tables.ports) {
            ports.set(port, rules, 0).map_err(full)?;
        }
    }
    fill_map(ebpf, "USER_RULES", tables.users.iter().map(|(&user, &rules)| (user, rules)))?;
    fill_map(ebpf, "CGROUP_RULES", cgroups(tables).into_iter())
}

fn fill_trie<const BYTES: usize>(
    ebpf: &mut Ebpf,
    name: &'static str,
    trie: &Trie,
) -> Result<(), RulesError> {
    let full = |error| RulesError::Full { map: name, error };
    let map = ebpf.map_mut(name).ok_or(RulesError::Missing(name))?;
    let mut map = LpmTrie::<_, Bytes<BYTES>, u64>::try_from(map).map_err(full)?;
    for ((prefix, bits), rules) in trie {
        let mut bytes = [0; BYTES];
        bytes[..prefix.len()].copy_from_slice(prefix);
        map.insert(&Key::new(*bits, Bytes(bytes)), rules, 0).map_err(full)?;
    }
    Ok(())
}

fn fill_map<K: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    entries: impl Iterator<Item = (K, u64)>,
) -> Result<(), RulesError> {
    let full = |error| RulesError::Full { map: name, error };
    let map = ebpf.map_mut(name).ok_or(RulesError::Missing(name))?;
    let mut map = HashMap::<_, K, u64>::try_from(map).map_err(full)?;
    for (key, rules) in entries {
        map.insert(key, rules, 0).map_err(full)?;
    }
    Ok(())
}

/// Bytes of a key, for aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Bytes<const N: usize>([u8; N]);
// SAFETY: plain bytes.
unsafe impl<const N: usize> aya::Pod for Bytes<N> {}

/// By id. A cgroup that is not there holds no process: rules may be the same for every host of a fleet.
fn cgroups(tables: &Tables) -> BTreeMap<u64, u64> {
    if tables.cgroups.is_empty() {
        return BTreeMap::new();
    }
    let cgroups = std::fs::read("/proc/self/mountinfo").ok().and_then(|text| Cgroups::open(&text));
    let id = |path: &String| cgroups.as_ref()?.id_of(path.as_bytes());
    // Several paths can lead to one.
    let mut known = BTreeMap::new();
    for (path, &rules) in &tables.cgroups {
        match id(path) {
            Some(id) => *known.entry(id).or_insert(0) |= rules,
            None => {
                tracing::warn!(
                    id = ids::NO_SUCH_CGROUP.code,
                    "no cgroup {path}: a rule that names it finds nothing"
                );
            }
        }
    }
    known
}
