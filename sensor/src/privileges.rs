//! What the worker may do once its sources are open: nothing that takes a right, unless it has to read /proc.

use std::io;

use rustix::system::uname;
use rustix::thread::set_no_new_privs;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Gives up every capability of this thread, and of those that it starts, but for
///
/// - `CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH` if it `reads_others`: /proc/PID/{exe,cwd,ns} of their processes;
/// - `CAP_BPF` before 5.19, where each use of bpf(2) needs it if `kernel.unprivileged_bpf_disabled`
///   is set: running the iterator and reading a program's counters.
pub fn give_up(reads_others: bool) -> io::Result<()> {
    let mut kept = CapabilitySet::empty();
    if reads_others {
        kept |= CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
    }
    if kernel_version() < (5, 19) {
        kept |= CapabilitySet::BPF;
    }
    let permitted = capabilities(None)?.permitted & kept;
    let sets =
        CapabilitySets { effective: permitted, permitted, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)?;
    Ok(())
}

/// Does something with the rights to files that the worker will have: those of who owns them.
pub fn as_an_owner<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let sets = capabilities(None)?;
    let effective = sets.effective & !CapabilitySet::DAC_OVERRIDE;
    set_capabilities(None, CapabilitySets { effective, ..sets })?;
    let done = work();
    set_capabilities(None, sets)?;
    done
}

/// The running kernel's version; (0, 0) if it does not begin with two numbers.
fn kernel_version() -> (u32, u32) {
    let name = uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}
