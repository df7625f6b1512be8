//! The kernel and how it is set up.

use std::fs;
use std::path::Path;

use super::bpf;
use super::finding::{self, Finding};
use crate::procfs;

const BTF: &str = "/sys/kernel/btf/vmlinux";

pub(super) fn findings() -> Vec<Finding> {
    let uname = rustix::system::uname();
    let (release, machine) = (uname.release().to_string_lossy(), uname.machine().to_string_lossy());
    vec![
        kernel(&release, &machine),
        btf(Path::new(BTF)),
        ring_buffer(),
        lockdown(read("/sys/kernel/security/lockdown").as_deref()),
        unprivileged_bpf(read("/proc/sys/kernel/unprivileged_bpf_disabled").as_deref()),
        cgroups(&read("/proc/self/mountinfo").unwrap_or_default()),
        clock(
            &read("/proc/self/timens_offsets").unwrap_or_default(),
            &read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                .unwrap_or_default(),
        ),
    ]
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn kernel(release: &str, machine: &str) -> Finding {
    const FIRST: (u32, u32) = (5, 8);
    let detail = format!("{release}, {machine}");
    if version(release).is_some_and(|version| version < FIRST) {
        return Finding::less("kernel", detail, "probes need 5.8 or later: cn_proc serves here");
    }
    Finding::good("kernel", detail)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn btf(path: &Path) -> Finding {
    match fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(file) => {
            let megabytes = file.len() as f64 / 1e6;
            Finding::good("btf", format!("{}, {megabytes:.1} MB", path.display()))
        }
        Err(error) => Finding::bad(
            "btf",
            format!("{}: {}", path.display(), finding::reason(&error)),
            "probes need a kernel with CONFIG_DEBUG_INFO_BTF=y; cn_proc does not",
        ),
    }
}

fn ring_buffer() -> Finding {
    use rustix::io::Errno;
    match bpf::make_ring_buffer() {
        Ok(()) => Finding::good("ring buffer", "the kernel makes one"),
        Err(error) => Finding::bad(
            "ring buffer",
            format!("bpf(BPF_MAP_CREATE): {}", finding::reason(&error)),
            match Errno::from_io_error(&error) {
                Some(Errno::PERM | Errno::ACCESS) => "run as root, or with CAP_BPF",
                Some(Errno::NOSYS) => "this kernel has no bpf(2): cn_proc serves here",
                Some(Errno::INVAL) => "ring buffers came with 5.8: cn_proc serves here",
                _ => "see kernel.log for what refuses it; cn_proc does not need it",
            },
        ),
    }
}

fn lockdown(modes: Option<&str>) -> Finding {
    let mode = modes.and_then(|modes| modes.split(['[', ']']).nth(1));
    match mode {
        None => Finding::good("lockdown", "not known (securityfs is not mounted), so probably off"),
        Some("confidentiality") => Finding::bad(
            "lockdown",
            "confidentiality: the kernel lets no probe read its memory",
            "boot with lockdown=integrity, or go on with cn_proc",
        ),
        Some(mode) => Finding::good("lockdown", format!("{mode}: allows the probes")),
    }
}

fn unprivileged_bpf(value: Option<&str>) -> Finding {
    const NAME: &str = "unprivileged bpf";
    match value.map(str::trim) {
        Some("0") => Finding::less(
            NAME,
            "everybody on this host may load some BPF programs",
            "sysctl kernel.unprivileged_bpf_disabled=2 (the sensor does not need it)",
        ),
        Some(value) => {
            Finding::good(NAME, format!("off (kernel.unprivileged_bpf_disabled={value})"))
        }
        None => Finding::good(NAME, "off: the kernel has no such switch"),
    }
}

fn cgroups(mountinfo: &str) -> Finding {
    let has = |kind: &str| {
        let kinds = mountinfo.lines().filter_map(|line| line.split(" - ").nth(1));
        kinds.filter_map(|rest| rest.split(' ').next()).any(|found| found == kind)
    };
    let layout = match (has("cgroup"), has("cgroup2")) {
        (false, true) => "v2",
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, false) => {
            return Finding::less("cgroups", "none mounted", "mount cgroup2 on /sys/fs/cgroup");
        }
    };
    match procfs::cgroup::hierarchy(mountinfo.as_bytes()).map(|hierarchy| hierarchy.controller) {
        Some(Some(controller)) => Finding::good(
            "cgroups",
            format!("{layout}; ids are those of the {controller} controller"),
        ),
        Some(None) => Finding::good("cgroups", format!("{layout}; ids are those of cgroup2")),
        None => Finding::less(
            "cgroups",
            format!("{layout}, without a hierarchy that names containers"),
            "mount cgroup2, or the pids controller of v1",
        ),
    }
}

fn clock(offsets: &str, source: &str) -> Finding {
    let shifted = offsets.lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.next() == Some("boottime") && fields.any(|field| field != "0")
    });
    if shifted {
        return Finding::bad(
            "clock",
            "a time namespace shifts the boot clock: times would be wrong",
            "run the sensor in the host's time namespace",
        );
    }
    match source.trim() {
        "" => Finding::good("clock", "boot clock, source not known"),
        source @ ("hpet" | "acpi_pm" | "jiffies") => Finding::less(
            "clock",
            format!("{source}: slow to read, and every event reads it"),
            "see why the kernel does not trust the tsc: dmesg | grep -i clocksource",
        ),
        source => Finding::good("clock", format!("boot clock by {source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn old_kernels_are_told_apart_by_number() {
        assert_eq!(version("5.10.0-33-cloud-amd64"), Some((5, 10)));
        assert_eq!(version("6.18-rc1"), Some((6, 18)));
        assert_eq!(version("unheard of"), None);
        assert_eq!(kernel("5.4.0", "x86_64").verdict, Verdict::Less);
        assert_eq!(kernel("5.10.0", "x86_64").verdict, Verdict::Good);
    }

    #[test]
    fn only_full_lockdown_forbids_probes() {
        assert_eq!(lockdown(Some("none [integrity] confidentiality\n")).verdict, Verdict::Good);
        assert_eq!(lockdown(Some("none integrity [confidentiality]\n")).verdict, Verdict::Bad);
        assert_eq!(lockdown(None).verdict, Verdict::Good);
    }

    #[test]
    fn layouts_of_cgroups() {
        const V2: &str = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        const PIDS: &str =
            "32 24 0:28 / /sys/fs/cgroup/pids rw shared:10 - cgroup cgroup rw,pids\n";
        assert!(cgroups(V2).detail.starts_with("v2; "));
        assert!(cgroups(&format!("{V2}{PIDS}")).detail.starts_with("hybrid; "));
        assert_eq!(cgroups("").verdict, Verdict::Less);
    }

    #[test]
    fn a_shifted_boot_clock_is_no_clock() {
        let none = "monotonic           0         0\nboottime            0         0\n";
        assert_eq!(clock(none, "tsc\n").detail, "boot clock by tsc");
        let shifted = "monotonic           0         0\nboottime       604800         0\n";
        assert_eq!(clock(shifted, "tsc\n").verdict, Verdict::Bad);
        assert_eq!(clock(none, "hpet\n").verdict, Verdict::Less);
    }
}
