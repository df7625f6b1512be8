//! Programs that run while a process takes a connection. For one that does not say so here, its first
//! use of the connection tells: see `length.rs`.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::{cgroup_sock_addr, fexit};
use aya_ebpf::programs::{FExitContext, SockAddrContext};

use super::claim;
use crate::kernel;
use crate::maps::setting;

/// What a program of a cgroup answers to have the kernel go on.
const ALLOW: i32 = 1;
/// Its owner was seen to take it.
const EXACT: u32 = 0;

/// `struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg)`, kernel 6.18; four
/// arguments before 6.10.
#[fexit(function = "inet_csk_accept")]
fn accept(ctx: FExitContext) -> i32 {
    let taken: u64 = match setting!(accept_arguments) {
        2 => kernel::opaque(ctx.arg(2)),
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

#[inline(always)]
fn socket(ctx: *mut bpf_sock_addr) -> u64 {
    // SAFETY: the kernel hands a live context.
    unsafe { (&raw const (*ctx).__bindgen_anon_1.sk).read_volatile() as u64 }
}
