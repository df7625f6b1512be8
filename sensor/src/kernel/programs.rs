//! Every program: where it hangs, and what stands in for it where the kernel has no such place.

use std::collections::HashMap;

use aya::programs::{BtfTracePoint, FEntry, Iter, Program, ProgramError};
use aya::{Btf, Ebpf};
use wanglou_sensor_common::counters;

use super::btf::Kind;

/// Where a program hangs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// A tracepoint with typed arguments.
    Tracepoint(&'static str),
    /// The entry of a kernel function.
    FunctionEntry(&'static str),
    /// Runs when it is read.
    Iterator(&'static str),
}

/// A program and what is lost without it.
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) hook: Hook,
    /// Its counters; an iterator loses nothing.
    pub(super) counters: Option<counters::Program>,
    /// What serves instead; without it there is no sensor by BPF.
    pub(super) instead: Option<&'static str>,
}

/// In the order of attachment: who ends before its beginning was seen is better than the contrary.
pub(super) const PROGRAMS: &[Spec] = &[
    Spec {
        name: "exit",
        hook: Hook::Tracepoint("sched_process_exit"),
        counters: Some(counters::Program::Exit),
        instead: None,
    },
    Spec {
        name: "exec",
        hook: Hook::Tracepoint("sched_process_exec"),
        counters: Some(counters::Program::Exec),
        instead: None,
    },
    Spec {
        name: "credentials",
        hook: Hook::FunctionEntry("commit_creds"),
        counters: Some(counters::Program::Credentials),
        instead: Some("changed ids are noticed at the process's next event"),
    },
    Spec {
        name: "fork",
        hook: Hook::Tracepoint("sched_process_fork"),
        counters: Some(counters::Program::Fork),
        instead: None,
    },
    Spec {
        name: "existing",
        hook: Hook::Iterator("task"),
        counters: None,
        instead: Some("processes are listed from /proc"),
    },
];

impl Hook {
    /// As the kernel's documentation writes it.
    pub(super) fn section(self) -> String {
        match self {
            Self::Tracepoint(name) => format!("tp_btf/{name}"),
            Self::FunctionEntry(name) => format!("fentry/{name}"),
            Self::Iterator(name) => format!("iter/{name}"),
        }
    }

    /// The BTF type that names this hook.
    pub(super) fn btf_name(self) -> (Kind, String) {
        match self {
            Self::Tracepoint(name) => (Kind::Typedef, format!("btf_trace_{name}")),
            Self::FunctionEntry(name) => (Kind::Function, name.to_owned()),
            Self::Iterator(name) => (Kind::Function, format!("bpf_iter_{name}")),
        }
    }
}

/// Has the kernel verify a program.
pub(super) fn load(ebpf: &mut Ebpf, spec: &Spec, btf: &Btf) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(spec.name).ok_or(ProgramError::NotLoaded)?;
    match spec.hook {
        Hook::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, btf),
        Hook::FunctionEntry(name) => <&mut FEntry>::try_from(program)?.load(name, btf),
        Hook::Iterator(name) => <&mut Iter>::try_from(program)?.load(name, btf),
    }
}

/// How many instructions the verifier walked (5.16 and later).
pub(super) fn verified(program: &Program) -> Option<u32> {
    program.info().ok()?.verified_instruction_count()
}

/// Keys for a lookup in the kernel's BTF.
pub(super) fn btf_names() -> HashMap<&'static str, (Kind, String)> {
    PROGRAMS.iter().map(|spec| (spec.name, spec.hook.btf_name())).collect()
}
