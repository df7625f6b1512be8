use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::Kind;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::{Tuple, connection_flags as flags};

use super::{Ending, Entry, Listener, Turn, give, listener, remember, report};
use crate::emit;
use crate::kernel::{Owner, Socket, Tcp};
use crate::maps::{LAST_TURN, LISTENERS, SOCKETS, setting};

// include/net/tcp_states.h
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
const SYN_RECV: u32 = 3;
const FIN_WAIT1: u32 = 4;
const CLOSE: u32 = 7;
const CLOSE_WAIT: u32 = 8;
const LAST_ACK: u32 = 9;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;

const BPF_ANY: u64 = 0;

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, kernel
/// 6.18.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn state(ctx: BtfTracePointContext) -> i32 {
    let (socket, turn) = arguments(&ctx);
    handle(socket, turn);
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
    if unsafe { last.read_volatile() } != turn {
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
fn handle(socket: Socket, turn: Turn) {
    match (turn.old, turn.new) {
        (_, SYN_SENT) => begins(socket),
        (SYN_SENT | SYN_RECV, ESTABLISHED) => established(socket, turn.old),
        (_, LISTEN) => listens(socket),
        (LISTEN, CLOSE) => listens_no_more(socket),
        (_, FIN_WAIT1 | CLOSE_WAIT | LAST_ACK | CLOSE) => ends(socket, turn),
        _ => {}
    }
}

/// connect(2), in the process that called it.
#[inline(always)]
fn begins(socket: Socket) {
    if is_unwanted(socket) || socket.tcp().is_none() {
        return;
    }
    let mut entry = Entry {
        owner: Owner::current(),
        opened: emit::now(),
        half_closed: 0,
        // The port here is not chosen yet.
        tuple: socket.tuple(0),
        flags: flags::EGRESS,
        reserved: 0,
    };
    entry.admit();
    remember(socket, &entry, Stream::Attempt);
}

#[inline(always)]
fn established(socket: Socket, old: u32) {
    let Some(tcp) = socket.tcp() else { return };
    if let Some(entry) = SOCKETS.get_ptr_mut(socket.key()) {
        // SAFETY: a live map value.
        let entry = unsafe { &mut *entry };
        if !entry.is(flags::ESTABLISHED) {
            return succeeded(socket, tcp, entry);
        }
        if is_of(entry, socket, tcp) {
            return;
        }
    }
    if old == SYN_RECV && !is_unwanted(socket) {
        let entry = taken(socket.tuple(tcp.local_port()), emit::now(), 0);
        if remember(socket, &entry, Stream::Accept) {
            emit::waits(Stream::Accept);
        }
    }
}

/// A connection that is there and has no owner yet.
#[inline(always)]
fn taken(tuple: Tuple, opened: u64, more: u32) -> Entry {
    Entry {
        owner: Owner::unknown(),
        opened,
        half_closed: 0,
        tuple,
        flags: flags::ESTABLISHED | flags::UNCLAIMED | more,
        reserved: 0,
    }
}

/// An attempt has become a connection.
#[inline(always)]
fn succeeded(socket: Socket, tcp: Tcp, entry: &mut Entry) {
    entry.tuple = socket.tuple(tcp.local_port());
    entry.flags |= flags::ESTABLISHED;
    report(Stream::Attempt, Kind::Attempt, entry, Ending::default());
    entry.opened = emit::now();
}

/// What is known of a connection that has been there. The kernel skips programs now and then, and
/// what is not known of it by now was skipped: it is made up for.
#[inline(always)]
fn known<'a>(socket: Socket, tcp: Tcp, old: u32) -> Option<&'a mut Entry> {
    if let Some(entry) = SOCKETS.get_ptr_mut(socket.key()) {
        // SAFETY: a live map value.
        let entry = unsafe { &mut *entry };
        if !entry.is(flags::ESTABLISHED) && was_established(old) {
            succeeded(socket, tcp, entry);
        }
        if !entry.is(flags::ESTABLISHED) || is_of(entry, socket, tcp) {
            return Some(entry);
        }
    }
    if !was_established(old) || is_unwanted(socket) {
        return None;
    }
    let tuple = socket.tuple(tcp.local_port());
    let egress = listener(&tuple).is_none();
    let direction = if egress { flags::EGRESS } else { 0 };
    let entry = taken(tuple, 0, flags::RECOVERED | direction);
    if !remember(socket, &entry, if egress { Stream::Attempt } else { Stream::Accept }) {
        return None;
    }
    if !egress {
        emit::waits(Stream::Accept);
    }
    // SAFETY: a live map value.
    SOCKETS.get_ptr_mut(socket.key()).map(|entry| unsafe { &mut *entry })
}

/// Whether this is known of the same connection, and not of an earlier one in the same memory.
#[inline(always)]
fn is_of(entry: &Entry, socket: Socket, tcp: Tcp) -> bool {
    entry.tuple.remote_port == socket.remote_port() && entry.tuple.local_port == tcp.local_port()
}

/// Whether a socket in this state has been through its handshake.
#[inline(always)]
fn was_established(state: u32) -> bool {
    !matches!(state, SYN_SENT | SYN_RECV | CLOSE | LISTEN | NEW_SYN_RECV)
}

/// The steps to the end. With two of them the process that closes is at work now.
#[inline(always)]
fn ends(socket: Socket, turn: Turn) {
    let Some(tcp) = socket.tcp() else { return };
    let Some(entry) = known(socket, tcp, turn.old) else { return };
    match turn.new {
        CLOSE => return over(socket, tcp, entry, turn.old),
        FIN_WAIT1 => half_closed(entry, flags::CLOSED_HERE),
        CLOSE_WAIT => return half_closed(entry, flags::CLOSED_THERE),
        _ => {}
    }
    if entry.is(flags::UNCLAIMED) {
        give(entry, Owner::current(), flags::FIRST_TOUCH);
    }
}

/// One side sends no more.
#[inline(always)]
fn half_closed(entry: &mut Entry, by: u32) {
    if entry.half_closed == 0 {
        entry.half_closed = emit::now();
        entry.flags |= by;
    }
}

#[inline(always)]
fn listens(socket: Socket) {
    // SAFETY: only whether it is there.
    if is_unwanted_locally(socket) || unsafe { SOCKETS.get(socket.key()) }.is_some() {
        return;
    }
    let Some(_) = socket.tcp() else { return };
    let entry = listening(socket, Owner::current());
    let _ = SOCKETS.insert(socket.key(), entry, BPF_ANY);
    report(Stream::Listen, Kind::Listen, &entry, Ending::default());
}

/// Remembers who listens: without it a connection that nobody is seen with has no owner.
#[inline(always)]
pub(super) fn listening(socket: Socket, owner: Owner) -> Entry {
    let tuple = socket.tuple(socket.bound_port());
    let _ = LISTENERS.insert(Listener::of(&tuple), owner, BPF_ANY);
    let flags = flags::LISTENS;
    let mut entry = Entry { owner, opened: 0, half_closed: 0, tuple, flags, reserved: 0 };
    entry.screen();
    entry
}

#[inline(always)]
fn listens_no_more(socket: Socket) {
    // SAFETY: a live map value, copied.
    let Some(entry) = (unsafe { SOCKETS.get(socket.key()) }) else { return };
    let _ = LISTENERS.remove(Listener::of(&entry.tuple));
    let _ = SOCKETS.remove(socket.key());
}

/// Nothing more will be seen of it.
#[inline(always)]
fn over(socket: Socket, tcp: Tcp, entry: &mut Entry, old: u32) {
    let error = socket.error();
    if entry.is(flags::ESTABLISHED) {
        if entry.is(flags::UNCLAIMED) {
            // An abort from here is done by whoever has it; the rest comes from the network.
            let aborted = error == 0 && (old == ESTABLISHED || old == CLOSE_WAIT);
            let (owner, how) = if aborted {
                (Owner::current(), flags::FIRST_TOUCH)
            } else {
                (listener(&entry.tuple).unwrap_or(Owner::unknown()), flags::LISTENER)
            };
            give(entry, owner, how);
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
    } else if entry.is(flags::EGRESS) {
        // From SYN_SENT only failure leads here.
        entry.tuple = socket.tuple(tcp.local_port());
        let ending = Ending { error, old_state: old, ..Ending::default() };
        report(Stream::Attempt, Kind::Attempt, entry, ending);
    }
    let _ = SOCKETS.remove(socket.key());
}

/// `tcp_destroy_sock(struct sock *sk)`, kernel 6.18: the last that is seen of a socket. Whatever is
/// still known of it then has an end that was skipped.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy(ctx: BtfTracePointContext) -> i32 {
    let socket = Socket(ctx.arg(0));
    if let Some(entry) = SOCKETS.get_ptr_mut(socket.key())
        && let Some(tcp) = socket.tcp()
    {
        // SAFETY: a live map value.
        over(socket, tcp, unsafe { &mut *entry }, CLOSE);
    }
    0
}

/// A connection of the host with itself, and those are not asked for.
#[inline(always)]
pub(super) fn is_unwanted(socket: Socket) -> bool {
    setting!(loopback) == 0 && socket.is_loopback()
}

/// A socket that only the host itself can reach, and those are not asked for.
#[inline(always)]
pub(super) fn is_unwanted_locally(socket: Socket) -> bool {
    setting!(loopback) == 0 && socket.is_bound_to_loopback()
}
