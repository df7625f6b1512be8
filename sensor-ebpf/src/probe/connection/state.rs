use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::Kind;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::{Tuple, connection_flags as flags};

use super::{Ending, Entry, Listener, Turn, give, listener, remember, report};
use crate::emit;
use crate::kernel::{Owner, Socket, Tcp};
use crate::maps::{LAST_TURN, LISTENERS, SETTINGS, SOCKETS};

// include/net/tcp_states.h
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
const SYN_RECV: u32 = 3;
const FIN_WAIT1: u32 = 4;
const CLOSE: u32 = 7;
const CLOSE_WAIT: u32 = 8;
const LAST_ACK: u32 = 9;
const LISTEN: u32 = 10;

const BPF_ANY: u64 = 0;

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, kernel
/// 6.18.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn state(ctx: BtfTracePointContext) -> i32 {
    let (socket, turn) = arguments(&ctx);
    if concerns_us(turn) {
        handle(socket, turn);
    }
    if let Some(last) = LAST_TURN.get_ptr_mut(0) {
        // SAFETY: this CPU's own value.
        unsafe { last.write_volatile(turn) };
    }
    0
}

/// The same again: the kernel does not run a program inside itself, and a softirq that interrupts
/// [`state`] on its way changes states too. Here they are seen; what both see is told once, as each
/// turn leaves its mark on the socket.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn state_twin(ctx: BtfTracePointContext) -> i32 {
    let (socket, turn) = arguments(&ctx);
    let Some(last) = LAST_TURN.get_ptr(0) else { return 0 };
    // SAFETY: this CPU's own value.
    if unsafe { last.read_volatile() } != turn && concerns_us(turn) {
        handle(socket, turn);
    }
    0
}

#[inline(always)]
fn arguments(ctx: &BtfTracePointContext) -> (Socket, Turn) {
    let socket = Socket(ctx.arg(0));
    let (old, new) = (ctx.arg::<u32>(1), ctx.arg::<u32>(2));
    (socket, Turn { socket: socket.key(), old, new })
}

/// Half of a connection's turns tell nothing: they end here.
#[inline(always)]
fn concerns_us(turn: Turn) -> bool {
    match turn.new {
        CLOSE | ESTABLISHED | SYN_SENT | CLOSE_WAIT | LAST_ACK => true,
        LISTEN | FIN_WAIT1 => true,
        _ => false,
    }
}

#[inline(always)]
fn handle(socket: Socket, turn: Turn) {
    match (turn.old, turn.new) {
        (_, SYN_SENT) => begins(socket),
        (SYN_SENT | SYN_RECV, ESTABLISHED) => established(socket, turn.old),
        (_, FIN_WAIT1) => half_closed(socket, flags::CLOSED_HERE),
        (_, CLOSE_WAIT) => half_closed(socket, flags::CLOSED_THERE),
        (_, LAST_ACK) => super::claim(socket.key(), flags::FIRST_TOUCH),
        (_, LISTEN) => listens(socket),
        (LISTEN, CLOSE) => listens_no_more(socket),
        (_, CLOSE) => closed(socket, turn.old),
        _ => {}
    }
}

/// connect(2), in the process that called it.
#[inline(always)]
fn begins(socket: Socket) {
    if is_unwanted(socket) || socket.tcp().is_none() {
        return;
    }
    let entry = Entry {
        owner: Owner::current(),
        opened: emit::now(),
        half_closed: 0,
        // The port here is not chosen yet.
        tuple: Tuple::default(),
        flags: flags::EGRESS,
        reserved: 0,
    };
    remember(socket, &entry, Stream::Attempt);
}

#[inline(always)]
fn established(socket: Socket, old: u32) {
    let Some(tcp) = socket.tcp() else { return };
    if let Some(entry) = SOCKETS.get_ptr_mut(socket.key()) {
        // SAFETY: a live map value.
        let entry = unsafe { &mut *entry };
        if entry.flags & flags::ESTABLISHED == 0 {
            attempted(socket, tcp, entry, old);
            entry.opened = emit::now();
        }
    } else if old == SYN_RECV && !is_unwanted(socket) {
        let entry = Entry {
            owner: Owner::UNKNOWN,
            opened: emit::now(),
            half_closed: 0,
            tuple: socket.tuple(tcp.local_port()),
            flags: flags::ESTABLISHED | flags::UNCLAIMED,
            reserved: 0,
        };
        if remember(socket, &entry, Stream::Accept) {
            emit::waits(Stream::Accept);
        }
    }
}

/// An attempt has its outcome: the handshake is done, or the error says why not.
#[inline(always)]
fn attempted(socket: Socket, tcp: Tcp, entry: &mut Entry, old: u32) {
    entry.tuple = socket.tuple(tcp.local_port());
    let error = socket.error();
    // SYN_SENT and SYN_RECV lead to CLOSE only by failing.
    let done = if error == 0 && old != CLOSE { flags::ESTABLISHED } else { 0 };
    entry.flags |= done;
    let ending = Ending { error, old_state: old, ..Ending::default() };
    report(Stream::Attempt, Kind::Attempt, entry, ending);
}

/// One side sends no more. If it is ours, the process that says so is at work now.
#[inline(always)]
fn half_closed(socket: Socket, by: u32) {
    let Some(entry) = SOCKETS.get_ptr_mut(socket.key()) else { return };
    // SAFETY: a live map value.
    let entry = unsafe { &mut *entry };
    if entry.half_closed == 0 {
        entry.half_closed = emit::now();
        entry.flags |= by;
    }
    if by == flags::CLOSED_HERE && entry.is(flags::UNCLAIMED) {
        give(entry, Owner::current(), flags::FIRST_TOUCH);
    }
}

#[inline(always)]
fn listens(socket: Socket) {
    // SAFETY: only whether it is there.
    if is_unwanted_locally(socket) || unsafe { SOCKETS.get(socket.key()) }.is_some() {
        return;
    }
    let Some(_) = socket.tcp() else { return };
    let tuple = socket.tuple(socket.bound_port());
    let entry =
        Entry { owner: Owner::current(), opened: 0, half_closed: 0, tuple, flags: 0, reserved: 0 };
    let key = Listener { net_ns: tuple.net_ns, port: tuple.local_port.into() };
    // Without it a connection that nobody is seen with has no owner.
    let _ = LISTENERS.insert(key, entry.owner, BPF_ANY);
    let _ = SOCKETS.insert(socket.key(), entry, BPF_ANY);
    report(Stream::Listen, Kind::Listen, &entry, Ending::default());
}

#[inline(always)]
fn listens_no_more(socket: Socket) {
    // SAFETY: a live map value, copied.
    let Some(entry) = (unsafe { SOCKETS.get(socket.key()) }) else { return };
    let key = Listener { net_ns: entry.tuple.net_ns, port: entry.tuple.local_port.into() };
    let _ = LISTENERS.remove(key);
    let _ = SOCKETS.remove(socket.key());
}

#[inline(always)]
fn closed(socket: Socket, old: u32) {
    let Some(entry) = SOCKETS.get_ptr_mut(socket.key()) else { return };
    // SAFETY: a live map value.
    let entry = unsafe { &mut *entry };
    let Some(tcp) = socket.tcp() else { return };
    if entry.is(flags::ESTABLISHED) {
        let error = socket.error();
        if entry.is(flags::UNCLAIMED) {
            // An abort from here is done by whoever has it; the rest comes from the network.
            let aborted = error == 0 && (old == ESTABLISHED || old == CLOSE_WAIT);
            if aborted {
                give(entry, Owner::current(), flags::FIRST_TOUCH);
            } else {
                give(entry, listener(&entry.tuple), flags::LISTENER);
            }
        }
        let finished = socket.is_finished();
        let ending = Ending {
            sent: tcp.sent(),
            received: tcp.received(finished),
            retransmits: tcp.retransmits(),
            error,
            old_state: old,
            flags: if finished { flags::FIN_RECEIVED } else { 0 },
        };
        report(Stream::Disconnect, Kind::Disconnect, entry, ending);
    } else {
        attempted(socket, tcp, entry, CLOSE);
    }
    let _ = SOCKETS.remove(socket.key());
}

/// A connection of the host with itself, and those are not asked for.
#[inline(always)]
fn is_unwanted(socket: Socket) -> bool {
    SETTINGS.load().loopback == 0 && socket.is_loopback()
}

/// A socket that only the host itself can reach, and those are not asked for.
#[inline(always)]
fn is_unwanted_locally(socket: Socket) -> bool {
    SETTINGS.load().loopback == 0 && socket.is_bound_to_loopback()
}
