//! The loader: a process that lives for a moment. It reads the kernel's BTF, has the probes verified
//! and attached, hands their descriptors over and is gone, with its rights and its memory.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData};
use aya::{Btf as AyaBtf, Ebpf, EbpfError, EbpfLoader, Endianness, Pod, VerifierLogLevel};
use thiserror::Error;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::{ARGS_MAX, LIMIT_WINDOW_NS, Offsets, Rules, Settings};

use super::btf::{Btf, BtfError, Kind};
use super::message::{Loaded, ProgramReport, VERSION};
use super::programs::{self, Hook, PROGRAMS, Spec};
use super::{Limits, Request, cgroup, offsets, reduce, rules, sys};
use crate::action::Category;
use crate::channel;
use crate::filter::Tables;

const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Slots for each CPU, as in the probes' `scratch.rs`.
const SCRATCH_LEVELS: u32 = 2;

/// The compiled probes.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WANGLOU_EBPF_OBJECT"));

/// Why there are no probes.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    #[error("cannot read {BTF}: {0}: the kernel needs CONFIG_DEBUG_INFO_BTF")]
    NoBtf(io::Error),
    #[error("cannot use {BTF}: {0}")]
    BadBtf(#[from] BtfError),
    #[error("the kernel's BTF does not name {0}: the kernel is older than 5.8 or lacks the hook")]
    NoHook(String),
    #[error("the kernel refuses to load probes: {0}: needs root, or CAP_BPF and CAP_PERFMON")]
    NoRights(String),
    #[error("the kernel does not load the probes: {0}")]
    Refused(String),
    #[error("the {program} probe does not run: {reason}")]
    Program { program: &'static str, reason: String },
    #[error("cannot count this host's CPUs: {0}")]
    Cpus(io::Error),
    #[error("cannot set the rules: {0}")]
    Rules(#[from] rules::RulesError),
}

/// `Offsets` for aya: plain words without padding.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PlainOffsets(Offsets);
// SAFETY: `repr(C)` of `u32`s only, checked by `zerocopy::IntoBytes` on the type inside.
unsafe impl Pod for PlainOffsets {}

/// `Settings` for aya: plain words without padding.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PlainSettings(Settings);
// SAFETY: as above.
unsafe impl Pod for PlainSettings {}

/// `Rules` for aya: plain words without padding.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PlainRules(Rules);
// SAFETY: as above, of `u64`s.
unsafe impl Pod for PlainRules {}

/// What the kernel's BTF told us.
struct Knowledge {
    offsets: Offsets,
    settings: Settings,
    reduced: Vec<u8>,
}

/// Everything to be handed over.
struct Handover {
    reports: Vec<ProgramReport>,
    fds: Vec<OwnedFd>,
    cpus: u32,
}

/// Loads, hands over to `socket`, and returns whether there are probes.
pub(super) fn run(socket: BorrowedFd<'_>, request: &Request) -> io::Result<bool> {
    let (loaded, fds) = match load(request) {
        Ok(Handover { reports, fds, cpus }) => {
            (Loaded { version: VERSION, error: None, programs: reports, cpus }, fds)
        }
        Err(error) => {
            let error = Some(error.to_string());
            (Loaded { version: VERSION, error, programs: Vec::new(), cpus: 0 }, Vec::new())
        }
    };
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    channel::send(socket, &loaded, &borrowed)?;
    Ok(loaded.error.is_none())
}

fn load(request: &Request) -> Result<Handover, LoadError> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| LoadError::Cpus(error))? as u32;
    let mut knowledge = study(cpus)?;
    let sizes = request.sizes;
    knowledge.settings.ring_bytes = sizes.ring_bytes;
    knowledge.settings.wake_bytes = sizes.ring_bytes / 4;
    knowledge.settings.args_bytes = sizes.args_bytes;
    knowledge.settings.process_events_limit = in_window(request.process_events_limit);
    knowledge.settings.quiet_process_events = in_window(request.process_events_limit) / cpus;
    let tables = request.network.as_ref().map(|network| Tables::of(&network.filter));
    let tables = tables.unwrap_or_default();
    if let Some(network) = &request.network {
        knowledge.settings.loopback = network.loopback.into();
        knowledge.settings.sensor_pid = std::os::unix::process::parent_id();
        limit(&mut knowledge.settings, network.limits, cpus);
    }
    let btf = AyaBtf::parse(&knowledge.reduced, Endianness::default())
        .map_err(|error| LoadError::Refused(one_line(&error)))?;
    let mut ebpf = open(&knowledge, &tables, sizes.ring_bytes, cpus)?;
    rules::fill(&mut ebpf, &tables)?;

    let mut reports = Vec::new();
    let mut fds = maps(&ebpf)?;
    let wanted = |spec: &&Spec| spec.category == Category::Process || request.network.is_some();
    for spec in PROGRAMS.iter().filter(wanted) {
        // A rung below one that holds.
        let runs = |name: &str| reports.iter().any(|it: &ProgramReport| it.runs(name));
        if spec.unless.is_some_and(runs) {
            continue;
        }
        match attach(&mut ebpf, spec, &btf) {
            Ok((verified, program, link)) => {
                reports.push(ProgramReport { name: spec.name.into(), missing: None, verified });
                fds.extend([program, link]);
            }
            Err(reason) if spec.instead.is_some() => {
                let missing = Some(reason);
                reports.push(ProgramReport { name: spec.name.into(), missing, verified: None });
            }
            Err(reason) => return Err(LoadError::Program { program: spec.name, reason }),
        }
    }
    Ok(Handover { reports, fds, cpus })
}

/// Sets limits for a window. A CPU that has seen no more than its part of the lowest has nobody who is
/// over it.
fn limit(settings: &mut Settings, limits: Limits, cpus: u32) {
    settings.process_limit = in_window(limits.process);
    settings.cgroup_limit = in_window(limits.cgroup);
    let lowest = [settings.process_limit, settings.cgroup_limit].into_iter().filter(|it| *it > 0);
    settings.quiet_limit = lowest.min().unwrap_or(0) / cpus;
}

/// Of a number a second.
fn in_window(limit: u32) -> u32 {
    const NS_PER_SECOND: u64 = 1_000_000_000;
    limit.saturating_mul((LIMIT_WINDOW_NS / NS_PER_SECOND) as u32)
}

/// Reads the kernel's BTF once; its five megabytes are gone when this returns.
fn study(cpus: u32) -> Result<Knowledge, LoadError> {
    let bytes = fs::read(BTF).map_err(LoadError::NoBtf)?;
    let btf = Btf::parse(&bytes)?;
    let names: Vec<_> = PROGRAMS.iter().map(|spec| (spec, spec.hook.btf_name())).collect();
    let wanted: Vec<_> = names.iter().filter_map(|(_, name)| name.as_ref().map(borrowed)).collect();
    let found = btf.find(&wanted);
    for (spec, name) in names.iter().filter(|(spec, _)| spec.instead.is_none()) {
        if name.as_ref().is_some_and(|name| !found.contains_key(&borrowed(name))) {
            return Err(LoadError::NoHook(spec.hook.section()));
        }
    }
    let cgroup_subsys = offsets::cgroup_subsys(&btf);
    Ok(Knowledge {
        offsets: offsets::offsets(&btf),
        settings: Settings {
            exit_tells_group_dead: offsets::exit_tells_group_dead(&btf).into(),
            cgroup_subsys,
            cgroup_hierarchy: offsets::cgroup_hierarchy(cgroup_subsys),
            iterator_slot: cpus * SCRATCH_LEVELS,
            accept_arguments: offsets::arguments(&btf, "inet_csk_accept"),
            receive_arguments: offsets::arguments(&btf, "udp_recvmsg"),
            ..Settings::default()
        },
        reduced: reduce::reduce(&btf, &found.values().copied().collect::<Vec<_>>()),
    })
}

fn borrowed((kind, name): &(Kind, String)) -> (Kind, &str) {
    (*kind, name)
}

/// Makes the maps and relocates the programs.
fn open(
    knowledge: &Knowledge,
    tables: &Tables,
    ring_bytes: u32,
    cpus: u32,
) -> Result<Ebpf, LoadError> {
    let offsets = PlainOffsets(knowledge.offsets);
    let settings = PlainSettings(knowledge.settings);
    let is_large = knowledge.settings.args_bytes > ARGS_MAX as u32;
    let large_slots = if is_large { cpus * SCRATCH_LEVELS } else { 1 };
    let rows = cpus * Stream::ALL.len() as u32;
    let rules = PlainRules(tables.rules);
    let ports = tables.ports.len().max(1) as u32;
    let mut loader = EbpfLoader::new();
    loader
        .btf(None)
        .verifier_log_level(VerifierLogLevel::STATS)
        .override_global("OFFSETS", &offsets, true)
        .override_global("SETTINGS", &settings, true)
        .override_global("RULES", &rules, true)
        .map_max_entries("PORT_RULES", ports)
        .map_max_entries("EVENTS", ring_bytes)
        .map_max_entries("COUNTERS", rows)
        .map_max_entries("SCRATCH", cpus * SCRATCH_LEVELS + 1)
        .map_max_entries("LARGE_SCRATCH", large_slots);
    loader.load(OBJECT).map_err(|error| {
        let text = one_line(&error);
        if is_forbidden(&error) { LoadError::NoRights(text) } else { LoadError::Refused(text) }
    })
}

/// Ring, counters and what is given up, in this order.
fn maps(ebpf: &Ebpf) -> Result<Vec<OwnedFd>, LoadError> {
    let map = |name| map(ebpf, name).map_err(LoadError::Refused);
    Ok(vec![map("EVENTS")?, map("COUNTERS")?, map("SHEDDING")?])
}

fn map(ebpf: &Ebpf, name: &str) -> Result<OwnedFd, String> {
    let data: &MapData = match ebpf.map(name) {
        Some(Map::RingBuf(data) | Map::Array(data) | Map::HashMap(data)) => data,
        Some(_) => return Err(format!("map {name} has another type")),
        None => return Err(format!("map {name} is not in the object")),
    };
    data.fd().as_fd().try_clone_to_owned().map_err(|error| format!("map {name}: {error}"))
}

/// Returns the verified instructions, the program and its link, or why there is none.
fn attach(
    ebpf: &mut Ebpf,
    spec: &Spec,
    btf: &AyaBtf,
) -> Result<(Option<u32>, OwnedFd, OwnedFd), String> {
    programs::load(ebpf, spec, btf).map_err(|error| one_line(&error))?;
    let program = ebpf.program(spec.name).ok_or("is not in the object")?;
    let fd = program.fd().map_err(|error| one_line(&error))?;
    let link = match spec.hook {
        Hook::Iterator(_) => sys::link_iterator(fd.as_fd(), None),
        Hook::MapIterator(name) => {
            let over = map(ebpf, name)?;
            sys::link_iterator(fd.as_fd(), Some(over.as_fd()))
        }
        Hook::Cgroup(_, kind) | Hook::CgroupSocket(_, kind) => {
            let root = cgroup::root()?;
            sys::attach_to_cgroup(fd.as_fd(), root.as_fd(), kind)
        }
        Hook::Tracepoint(_) | Hook::FunctionEntry(_) | Hook::FunctionExit(_) => {
            sys::attach(fd.as_fd())
        }
    }
    .map_err(|error| format!("cannot attach to {}: {error}", spec.hook.section()))?;
    let fd = fd.as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    Ok((programs::verified(program), fd, link))
}

fn is_forbidden(error: &EbpfError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}

/// An error and its causes in one line; of a verifier's log, which may have thousands, the last.
fn one_line(error: &dyn std::error::Error) -> String {
    const LAST_LINES: usize = 3;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    let text = text.replace(". Verifier output: ", "\n");
    // What the verifier counted says nothing of why.
    let is_count = |line: &str| {
        ["verification time ", "stack depth ", "processed "].iter().any(|it| line.starts_with(it))
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_count(line));
    let lines: Vec<_> = lines.collect();
    match lines.split_first() {
        Some((first, rest)) if rest.len() > LAST_LINES => {
            format!("{first} … {}", rest[rest.len() - LAST_LINES..].join(" | "))
        }
        _ => lines.join(" | "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_the_last_words_are_told() {
        let of =
            |log: &str| one_line(&io::Error::other(format!("not taken. Verifier output: {log}")));
        assert_eq!(of(""), "not taken");
        assert_eq!(of("verification time 16 usec\nstack depth 0"), "not taken");
        assert_eq!(of("unknown func 113\nprocessed 9 insns\n"), "not taken | unknown func 113");
        assert_eq!(of("0: r1\n1: r2\n2: r3\n3: no\n"), "not taken … 1: r2 | 2: r3 | 3: no");
    }
}
