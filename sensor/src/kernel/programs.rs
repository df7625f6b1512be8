//! Every program: where it hangs, and what stands in for it where the kernel has no such place.

use aya::programs::{
    BtfTracePoint, CgroupSock, CgroupSockAddr, FEntry, FExit, Iter, Program, ProgramError,
};
use aya::{Btf, Ebpf};
use wanglou_sensor_common::counters::Stream;

use super::btf::Kind;
use crate::action::Category;

/// Where a program hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// A tracepoint with typed arguments.
    Tracepoint(&'static str),
    /// The entry of a kernel function.
    FunctionEntry(&'static str),
    /// The return of a kernel function.
    FunctionExit(&'static str),
    /// A call of a process in any cgroup, and its number (`enum bpf_attach_type`).
    Cgroup(&'static str, u32),
    /// The life of a socket of a process in any cgroup, and its number.
    CgroupSocket(&'static str, u32),
    /// Runs when it is read.
    Iterator(&'static str),
    /// Runs for each element of a map when it is read.
    MapIterator(&'static str),
}

/// A program and what is lost without it.
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) hook: Hook,
    /// What it is about: of each category all programs are loaded, or none.
    pub(super) category: Category,
    /// What a run that the kernel skips would have reported, if nothing makes up for it.
    pub(super) skipped: Option<Stream>,
    /// What serves instead; without it there is no sensor by BPF.
    pub(super) instead: Option<&'static str>,
    /// The program that does the same better: where that runs, this one is not tried.
    pub(super) unless: Option<&'static str>,
}

const fn process(name: &'static str, hook: Hook, stream: Stream) -> Spec {
    Spec {
        name,
        hook,
        category: Category::Process,
        skipped: Some(stream),
        instead: None,
        unless: None,
    }
}

const fn network(name: &'static str, hook: Hook, instead: &'static str) -> Spec {
    Spec {
        name,
        hook,
        category: Category::Network,
        skipped: None,
        instead: Some(instead),
        unless: None,
    }
}

const FIRST_USE: &str = "who accepts is known at the first use of the connection";
const fn below(better: &'static str, function: &'static str) -> Spec {
    let hook = Hook::FunctionExit(function);
    Spec { unless: Some(better), ..network(function, hook, "what is said over UDP is not seen") }
}

const EARLIER: &str = "sockets of before the start are listed by sock_diag";
const LAST_USE: &str = "lengths by the functions of UDP; who accepts is known at the latest when it closes the connection";
const NO_PEER: &str = "UDP is seen without the other end, unless the socket is connected";

/// In the order of attachment: who ends before its beginning was seen is better than the contrary.
pub(super) const PROGRAMS: &[Spec] = &[
    process("exit", Hook::Tracepoint("sched_process_exit"), Stream::Exit),
    process("exec", Hook::Tracepoint("sched_process_exec"), Stream::Exec),
    Spec {
        instead: Some("changed ids are noticed at the process's next event"),
        ..process("credentials", Hook::FunctionEntry("commit_creds"), Stream::Credentials)
    },
    process("fork", Hook::Tracepoint("sched_process_fork"), Stream::Fork),
    Spec {
        name: "cgroup",
        hook: Hook::Tracepoint("cgroup_mkdir"),
        category: Category::Process,
        skipped: None,
        instead: Some("the cgroup of a new container is looked for when a process is seen in it"),
        unless: None,
    },
    Spec {
        name: "existing",
        hook: Hook::Iterator("task"),
        category: Category::Process,
        skipped: None,
        instead: Some("processes are listed from /proc"),
        unless: None,
    },
    network("accept", Hook::FunctionExit("inet_csk_accept"), FIRST_USE),
    network("getpeername4", Hook::Cgroup("getpeername4", 29), FIRST_USE),
    network("getpeername6", Hook::Cgroup("getpeername6", 30), FIRST_USE),
    network("receive", Hook::Tracepoint("sock_recv_length"), LAST_USE),
    network("send", Hook::Tracepoint("sock_send_length"), LAST_USE),
    below("receive", "udp_recvmsg"),
    below("receive", "udpv6_recvmsg"),
    below("send", "udp_sendmsg"),
    below("send", "udpv6_sendmsg"),
    network("sendmsg4", Hook::Cgroup("sendmsg4", 14), NO_PEER),
    network("sendmsg6", Hook::Cgroup("sendmsg6", 15), NO_PEER),
    network("recvmsg4", Hook::Cgroup("recvmsg4", 19), NO_PEER),
    network("recvmsg6", Hook::Cgroup("recvmsg6", 20), NO_PEER),
    network("release", Hook::CgroupSocket("sock_release", 34), "flows are told of every 10 s only"),
    network("flows", Hook::MapIterator("FLOWS"), "flows are told of when their socket is closed"),
    network("destroy", Hook::Tracepoint("tcp_destroy_sock"), "ends that are skipped stay unseen"),
    network("sweep", Hook::MapIterator("SOCKETS"), "unused connections are told of late"),
    // In this order: the second sees what the first could not.
    network("state", Hook::Tracepoint("inet_sock_set_state"), "connections are not seen"),
    network(
        "state_twin",
        Hook::Tracepoint("inet_sock_set_state"),
        "changes of state inside one another are missed",
    ),
    network("listening_sockets", Hook::Iterator("task_file"), EARLIER),
    network("open_connections", Hook::Iterator("task_file"), EARLIER),
];

impl Hook {
    /// As the kernel's documentation writes it.
    pub(super) fn section(self) -> String {
        match self {
            Self::Tracepoint(name) => format!("tp_btf/{name}"),
            Self::FunctionEntry(name) => format!("fentry/{name}"),
            Self::FunctionExit(name) => format!("fexit/{name}"),
            Self::Cgroup(name, _) | Self::CgroupSocket(name, _) => format!("cgroup/{name}"),
            Self::Iterator(name) => format!("iter/{name}"),
            Self::MapIterator(_) => "iter/bpf_map_elem".to_owned(),
        }
    }

    /// The BTF type that names this hook; a cgroup's has a number only.
    pub(super) fn btf_name(self) -> Option<(Kind, String)> {
        Some(match self {
            Self::Tracepoint(name) => (Kind::Typedef, format!("btf_trace_{name}")),
            Self::FunctionEntry(name) | Self::FunctionExit(name) => {
                (Kind::Function, name.to_owned())
            }
            Self::Iterator(name) => (Kind::Function, format!("bpf_iter_{name}")),
            Self::MapIterator(_) => (Kind::Function, "bpf_iter_bpf_map_elem".to_owned()),
            Self::Cgroup(..) | Self::CgroupSocket(..) => return None,
        })
    }
}

/// Has the kernel verify a program.
pub(super) fn load(ebpf: &mut Ebpf, spec: &Spec, btf: &Btf) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(spec.name).ok_or(ProgramError::NotLoaded)?;
    match spec.hook {
        Hook::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, btf),
        Hook::FunctionEntry(name) => <&mut FEntry>::try_from(program)?.load(name, btf),
        Hook::FunctionExit(name) => <&mut FExit>::try_from(program)?.load(name, btf),
        Hook::Cgroup(..) => <&mut CgroupSockAddr>::try_from(program)?.load(),
        Hook::CgroupSocket(..) => <&mut CgroupSock>::try_from(program)?.load(),
        Hook::Iterator(name) => <&mut Iter>::try_from(program)?.load(name, btf),
        Hook::MapIterator(_) => <&mut Iter>::try_from(program)?.load("bpf_map_elem", btf),
    }
}

/// How many instructions the verifier walked (5.16 and later).
pub(super) fn verified(program: &Program) -> Option<u32> {
    program.info().ok()?.verified_instruction_count()
}
