//! What processes send and receive, whatever the kind of socket: where a TCP connection has no owner
//! yet, it has one now, and over UDP it counts.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::event::connection_flags as flags;

use super::connection;
use super::flow::{self, MSG_PEEK, Way};
use crate::kernel::Socket;

const IPPROTO_TCP: u16 = 6;
const IPPROTO_UDP: u16 = 17;

/// `sock_recv_length(struct sock *sk, int ret, int flags)`, kernel 6.18 (6.3 and later).
#[btf_tracepoint(function = "sock_recv_length")]
fn receive(ctx: BtfTracePointContext) -> i32 {
    if ctx.arg::<u32>(2) & MSG_PEEK == 0 {
        used(&ctx, Way::In);
    }
    0
}

/// `sock_send_length(struct sock *sk, int ret, int flags)`, kernel 6.18 (6.3 and later).
#[btf_tracepoint(function = "sock_send_length")]
fn send(ctx: BtfTracePointContext) -> i32 {
    used(&ctx, Way::Out);
    0
}

#[inline(always)]
fn used(ctx: &BtfTracePointContext, way: Way) {
    let socket = Socket(ctx.arg(0));
    match socket.protocol() {
        IPPROTO_TCP => connection::claim(socket.key(), flags::FIRST_TOUCH),
        IPPROTO_UDP => {
            let result = ctx.arg::<i32>(1);
            // Nothing was sent or received.
            if result >= 0 {
                flow::datagram(socket, way, result as u64);
            }
        }
        _ => {}
    }
}
