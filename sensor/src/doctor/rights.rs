//! What this process may do, and where it is.

use std::fs;

use super::finding::Finding;

pub(super) fn findings() -> Vec<Finding> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut findings = match effective(&status) {
        Some(held) => capabilities(held),
        None => vec![Finding::bad("rights", "/proc/self/status cannot be read", "mount /proc")],
    };
    findings.push(namespaces(inode("self/ns/pid"), inode("self/ns/user"), network()));
    findings
}

/// Bits of `include/uapi/linux/capability.h`.
const DAC_READ_SEARCH: u32 = 2;
const NET_ADMIN: u32 = 12;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// `CapEff` of a process's status.
fn effective(status: &str) -> Option<u64> {
    let field = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(field.trim(), 16).ok()
}

fn capabilities(held: u64) -> Vec<Finding> {
    let missing = |wanted: &[(u32, &'static str)]| {
        let missing = wanted.iter().filter(|(bit, _)| held & 1 << bit == 0);
        missing.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let need = |name: &str, wanted: &[(u32, &'static str)], otherwise: &str| {
        let names = |missing: &str| format!("{missing} missing: {otherwise}");
        match missing(wanted).as_str() {
            "" => {
                let all: Vec<_> = wanted.iter().map(|(_, name)| *name).collect();
                Finding::good(name, all.join(", "))
            }
            missing => {
                let next = format!("run as root, or with {missing}");
                Finding::less(name, names(missing), next)
            }
        }
    };
    let probes: &[_] = match held & 1 << SYS_ADMIN {
        0 => &[(BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON")],
        _ => &[(SYS_ADMIN, "CAP_SYS_ADMIN")],
    };
    let read = [(SYS_PTRACE, "CAP_SYS_PTRACE"), (DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH")];
    vec![
        need("rights: probes", probes, "no backend ebpf"),
        // Since 6.6 anybody may listen, but only the privileged choose how large the buffer is.
        need(
            "rights: netlink",
            &[(NET_ADMIN, "CAP_NET_ADMIN")],
            "cn_proc loses more in a burst, and does not work before 6.6",
        ),
        need("rights: /proc", &read, "others' executables and directories stay unknown"),
    ]
}

fn inode(path: &str) -> Option<u64> {
    rustix::fs::stat(format!("/proc/{path}")).ok().map(|stat| stat.st_ino)
}

/// Whether this is the first network namespace, the one of init.
fn network() -> Option<bool> {
    /// `NET_NS_INIT_INO` of `include/uapi/linux/nsfs.h` (6.18); before, the number was any.
    const INITIAL: u64 = 0xEFFF_FFF9;
    let own = inode("self/ns/net")?;
    if own == INITIAL { Some(true) } else { Some(own == inode("1/ns/net")?) }
}

fn namespaces(pid: Option<u64>, user: Option<u64>, network: Option<bool>) -> Finding {
    /// `PROC_PID_INIT_INO` and `PROC_USER_INIT_INO` of `include/linux/proc_ns.h`.
    const INITIAL_PID: u64 = 0xEFFF_FFFC;
    const INITIAL_USER: u64 = 0xEFFF_FFFD;

    const NAME: &str = "namespaces";
    const NEXT: &str = "run the sensor on the host itself (hostPID, hostNetwork)";
    let others: Vec<_> = [
        ("pid", pid.is_some_and(|inode| inode != INITIAL_PID)),
        ("user", user.is_some_and(|inode| inode != INITIAL_USER)),
        ("network", network == Some(false)),
    ]
    .into_iter()
    .filter_map(|(name, other)| other.then_some(name))
    .collect();

    if !others.is_empty() {
        let detail = format!("not the host's: {}", others.join(", "));
        return Finding::less(NAME, format!("{detail}: no backend cn_proc"), NEXT);
    }
    match network {
        Some(_) => Finding::good(NAME, "pid, user and network are the host's"),
        None => Finding::good(NAME, "pid and user are the host's; the network one is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict::{Good, Less};
    use super::*;

    #[test]
    fn what_a_capability_is_missing_for() {
        let verdicts = |held| capabilities(held).iter().map(|f| f.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(0), [Less, Less, Less]);
        assert_eq!(verdicts(u64::MAX), [Good, Good, Good]);
        assert_eq!(verdicts(1 << BPF | 1 << PERFMON | 1 << NET_ADMIN), [Good, Good, Less]);
        assert_eq!(verdicts(1 << SYS_ADMIN), [Good, Less, Less]);
        let detail = &capabilities(1 << BPF)[0].detail;
        assert_eq!(detail, "CAP_PERFMON missing: no backend ebpf");
    }

    #[test]
    fn the_status_file_gives_the_effective_set() {
        assert_eq!(effective("CapPrm:\t0000\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn a_container_is_noticed() {
        assert_eq!(namespaces(Some(0xEFFF_FFFC), Some(0xEFFF_FFFD), Some(true)).verdict, Good);
        let inside = namespaces(Some(4_026_532_000), Some(0xEFFF_FFFD), Some(false));
        assert_eq!(inside.detail, "not the host's: pid, network: no backend cn_proc");
    }
}
