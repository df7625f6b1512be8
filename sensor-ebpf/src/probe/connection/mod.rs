//! The life of a TCP socket: `state.rs` sees its turns, `owner.rs` who uses it, `open.rs` those that
//! were there before us, `sweep.rs` those that something has been missed of.
//!
//! A change of state often happens in a softirq, where the current task is a stranger. What happens
//! in process context (connect, listen, accept, close) gives the socket an owner, who stays it: the
//! other turns look it up.

mod open;
mod owner;
mod state;
mod sweep;

use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::{Connection, Tuple, connection_flags as flags};
use wanglou_sensor_common::{Header, Kind};

use crate::emit::{self, Event};
use crate::filter::{self, Direction};
use crate::kernel::{Owner, Socket};
use crate::limit;
use crate::maps::{LISTENERS, SOCKETS};

/// What is remembered of a socket.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    pub owner: Owner,
    /// Boot-clock time of connect(2), then of the end of the handshake, ns.
    pub opened: u64,
    /// Boot-clock time at which one side closed its half, ns.
    pub half_closed: u64,
    pub tuple: Tuple,
    /// See [`flags`].
    pub flags: u32,
    pub reserved: u32,
}

/// A key of [`LISTENERS`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Listener {
    pub net_ns: u32,
    pub port: u32,
}

impl Listener {
    #[inline(always)]
    fn of(tuple: &Tuple) -> Self {
        Self { net_ns: tuple.net_ns, port: tuple.local_port.into() }
    }
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Turn {
    pub socket: u64,
    pub old: u32,
    pub new: u32,
}

/// What goes into the ring.
#[repr(C)]
struct Record {
    header: Header,
    body: Connection,
}

const LEN: u32 = size_of::<Record>() as u32;

/// What only the end of a socket tells.
#[derive(Clone, Copy, Default)]
struct Ending {
    sent: u64,
    received: u64,
    retransmits: u32,
    error: u32,
    old_state: u32,
    flags: u32,
}

impl Entry {
    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Decides, once its owner is known, what is told of it: it stays remembered either way, or its next
    /// turn would look like one whose beginning was missed.
    #[inline(always)]
    fn admit(&mut self) {
        self.screen();
        if !self.is(flags::DROPPED) && limit::is_over(&self.owner) {
            self.flags |= flags::THROTTLED;
        }
    }

    /// Asks the rules.
    #[inline(always)]
    fn screen(&mut self) {
        let direction = match () {
            () if self.is(flags::LISTENS) => Direction::Listen,
            () if self.is(flags::EGRESS) => Direction::Egress,
            () => Direction::Ingress,
        };
        if filter::drops(&self.tuple, direction, &self.owner) {
            self.flags |= flags::DROPPED;
        }
    }
}

/// Sends a record about a socket, unless it is one of which nothing is told.
#[inline(always)]
fn report(stream: Stream, kind: Kind, entry: &Entry, ending: Ending) {
    if entry.is(flags::DROPPED) {
        return;
    }
    let Some(event) = Event::unless_shed(stream) else { return };
    if entry.is(flags::THROTTLED) {
        return event.throttled();
    }
    let header = event.header_of(kind, LEN, entry.owner);
    let record = Record { header, body: body(entry, ending) };
    event.send((&raw const record).cast(), LEN);
}

#[inline(always)]
fn body(entry: &Entry, ending: Ending) -> Connection {
    Connection {
        tuple: entry.tuple,
        opened: entry.opened,
        half_closed: entry.half_closed,
        sent: ending.sent,
        received: ending.received,
        retransmits: ending.retransmits,
        error: ending.error,
        flags: entry.flags | ending.flags,
        old_state: ending.old_state,
    }
}

/// Somebody is seen with a connection that was taken: it is theirs.
#[inline(always)]
pub fn claim(socket: u64, how: u32) {
    let Some(entry) = SOCKETS.get_ptr_mut(socket) else { return };
    // SAFETY: a live map value.
    let entry = unsafe { &mut *entry };
    if entry.is(flags::UNCLAIMED) {
        give(entry, Owner::current(), how);
    }
}

/// Gives a connection an owner, and tells of it unless that was done while it had none.
#[inline(always)]
fn give(entry: &mut Entry, owner: Owner, how: u32) {
    entry.owner = owner;
    entry.flags = entry.flags & !flags::UNCLAIMED | how;
    // Who has been told of the beginning is told of the end.
    if !entry.is(flags::TOLD) {
        entry.admit();
    }
    if entry.is(flags::EGRESS) {
        report(Stream::Attempt, Kind::Attempt, entry, Ending::default());
    } else if !entry.is(flags::TOLD) {
        emit::settled(Stream::Accept);
        report(Stream::Accept, Kind::Accept, entry, Ending::default());
    }
}

/// Who listens where a connection came in.
#[inline(always)]
fn listener(tuple: &Tuple) -> Option<Owner> {
    // SAFETY: a copy; entries are replaced, not written.
    unsafe { LISTENERS.get(Listener::of(tuple)) }.copied()
}

/// Counts what will never be told of a connection whose end nobody saw.
#[inline(always)]
fn give_up(entry: &Entry) {
    if entry.is(flags::UNCLAIMED) && !entry.is(flags::TOLD | flags::EGRESS) {
        emit::settled(Stream::Accept);
        lose(Stream::Accept);
    }
    if !entry.is(flags::DROPPED) {
        lose(Stream::Disconnect);
    }
}

#[inline(always)]
fn lose(stream: Stream) {
    if let Some(event) = Event::seen(stream) {
        event.nested();
    }
}

/// Remembers a socket; one that cannot be is lost with what it would have been told of.
#[inline(always)]
fn remember(socket: Socket, entry: &Entry, first: Stream) -> bool {
    const BPF_ANY: u64 = 0;
    const BPF_NOEXIST: u64 = 1;
    const EEXIST: i32 = -17;
    match SOCKETS.insert(socket.key(), entry, BPF_NOEXIST) {
        Ok(()) => return true,
        Err(EEXIST) => {
            // SAFETY: only what the flags were.
            let earlier = unsafe { SOCKETS.get(socket.key()) };
            // Its memory has been another connection, whose end nobody saw.
            if let Some(earlier) = earlier.filter(|entry| entry.is(flags::ESTABLISHED)) {
                give_up(earlier);
            }
            if SOCKETS.insert(socket.key(), entry, BPF_ANY).is_ok() {
                return true;
            }
        }
        Err(_) => {}
    }
    if entry.is(flags::DROPPED) {
        return false;
    }
    for stream in [first, Stream::Disconnect] {
        if let Some(event) = Event::seen(stream) {
            event.table_full();
        }
    }
    false
}
