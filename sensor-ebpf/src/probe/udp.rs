//! Lengths of datagrams where no tracepoint tells them (before 6.3): the functions that send and
//! receive, at their return.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;

use super::flow::{self, MSG_PEEK, Way};
use crate::kernel::{self, Socket};
use crate::maps::setting;

/// `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, kernel 6.1. For a socket of IPv6
/// it is called by its sibling below, which counts.
#[fexit(function = "udp_sendmsg")]
fn udp_sendmsg(ctx: FExitContext) -> i32 {
    let socket = Socket(ctx.arg(0));
    if socket.is_v4() {
        count(socket, Way::Out, ctx.arg(3));
    }
    0
}

/// `int udpv6_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, kernel 6.1.
#[fexit(function = "udpv6_sendmsg")]
fn udpv6_sendmsg(ctx: FExitContext) -> i32 {
    count(Socket(ctx.arg(0)), Way::Out, ctx.arg(3));
    0
}

/// `int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, kernel
/// 6.1; before 5.19 with `int noblock` before the flags.
#[fexit(function = "udp_recvmsg")]
fn udp_recvmsg(ctx: FExitContext) -> i32 {
    received(&ctx);
    0
}

/// The same for IPv6.
#[fexit(function = "udpv6_recvmsg")]
fn udpv6_recvmsg(ctx: FExitContext) -> i32 {
    received(&ctx);
    0
}

#[inline(always)]
fn received(ctx: &FExitContext) {
    let (flags, result): (u64, u64) = match setting!(receive_arguments) {
        5 => (kernel::opaque(ctx.arg(3)), kernel::opaque(ctx.arg(5))),
        6 => (ctx.arg(4), ctx.arg(6)),
        _ => return,
    };
    if flags as u32 & MSG_PEEK == 0 {
        count(Socket(ctx.arg(0)), Way::In, result as i32);
    }
}

#[inline(always)]
fn count(socket: Socket, way: Way, result: i32) {
    // Nothing was sent or received.
    if result >= 0 {
        flow::datagram(socket, way, result as u64);
    }
}
