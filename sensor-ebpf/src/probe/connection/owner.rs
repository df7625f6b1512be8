//! Programs that run in process context with a socket at hand: what the process does with a
//! connection says that it is the one that took it.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::{btf_tracepoint, cgroup_sock_addr, fexit};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, SockAddrContext};
use wanglou_sensor_common::event::connection_flags as flags;

use super::claim;
use crate::maps::SETTINGS;

/// What a program of a cgroup answers to have the kernel go on.
const ALLOW: i32 = 1;
/// Its owner was seen to take it.
const EXACT: u32 = 0;

/// `struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg)`, kernel 6.18; four
/// arguments before 6.10.
#[fexit(function = "inet_csk_accept")]
fn accept(ctx: FExitContext) -> i32 {
    let taken: u64 = match SETTINGS.load().accept_arguments {
        2 => ctx.arg(2),
        4 => ctx.arg(4),
        _ => 0,
    };
    if taken != 0 {
        claim(taken, EXACT);
    }
    0
}

/// Runs inside accept(2) where the caller wants to know who calls, and in getpeername(2), where it
/// finds nothing to do.
#[cgroup_sock_addr(getpeername4)]
fn getpeername4(ctx: SockAddrContext) -> i32 {
    claim(socket(ctx.sock_addr), EXACT);
    ALLOW
}

/// The same for IPv6.
#[cgroup_sock_addr(getpeername6)]
fn getpeername6(ctx: SockAddrContext) -> i32 {
    claim(socket(ctx.sock_addr), EXACT);
    ALLOW
}

/// `sock_recv_length(struct sock *sk, int ret, int flags)`, kernel 6.18 (6.3 and later).
#[btf_tracepoint(function = "sock_recv_length")]
fn receive(ctx: BtfTracePointContext) -> i32 {
    claim(ctx.arg(0), flags::FIRST_TOUCH);
    0
}

/// `sock_send_length(struct sock *sk, int ret, int flags)`, kernel 6.18 (6.3 and later).
#[btf_tracepoint(function = "sock_send_length")]
fn send(ctx: BtfTracePointContext) -> i32 {
    claim(ctx.arg(0), flags::FIRST_TOUCH);
    0
}

#[inline(always)]
fn socket(ctx: *mut bpf_sock_addr) -> u64 {
    // SAFETY: the kernel hands a live context.
    unsafe { (&raw const (*ctx).__bindgen_anon_1.sk).read_volatile() as u64 }
}
