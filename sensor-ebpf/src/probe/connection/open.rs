//! What was there before us: the sockets in every process's hands. Those that listen first, as they
//! tell which connections came in.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use wanglou_sensor_common::Kind;
use wanglou_sensor_common::event::connection_flags as flags;

use super::state::{is_unwanted, is_unwanted_locally, listening};
use super::{Ending, Entry, LEN, Record, body, listener};
use crate::emit;
use crate::iterator::{self, Meta};
use crate::kernel::{Owner, Socket, Task};
use crate::maps::SOCKETS;

const BPF_NOEXIST: u64 = 1;

/// `struct bpf_iter__task_file`, kernel/bpf/task_iter.c.
#[repr(C)]
struct Context {
    meta: *const Meta,
    task: *const c_void,
    fd: u64,
    file: *const c_void,
}

/// Remembers who listens, and tells of it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn listening_sockets(ctx: *const Context) -> i32 {
    let Some((socket, owner)) = socket(ctx) else { return 0 };
    if socket.is_listening() && !is_unwanted_locally(socket) && socket.tcp().is_some() {
        let entry = listening(socket, owner);
        tell_once(ctx, socket, &entry);
    }
    0
}

/// Remembers whose the connections are, and tells of them.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn open_connections(ctx: *const Context) -> i32 {
    let Some((socket, owner)) = socket(ctx) else { return 0 };
    if !socket.is_connected() || is_unwanted(socket) {
        return 0;
    }
    let Some(tcp) = socket.tcp() else { return 0 };
    let tuple = socket.tuple(tcp.local_port());
    let egress = if listener(&tuple).is_none() { flags::EGRESS } else { 0 };
    let flags = flags::ESTABLISHED | egress;
    let mut entry = Entry { owner, opened: 0, half_closed: 0, tuple, flags, reserved: 0 };
    entry.screen();
    tell_once(ctx, socket, &entry);
    0
}

/// The socket that a process has open, and the process.
#[inline(always)]
fn socket(ctx: *const Context) -> Option<(Socket, Owner)> {
    // SAFETY: the kernel hands a context of this type.
    let (task, file) = unsafe {
        ((&raw const (*ctx).task).read_volatile(), (&raw const (*ctx).file).read_volatile())
    };
    if task.is_null() || file.is_null() {
        return None;
    }
    // SAFETY: a live file.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return None;
    }
    Some((Socket::of(socket.cast_const().cast())?, Owner::of(Task(task))))
}

/// Tells of a socket unless an event or another of its descriptors did.
#[inline(always)]
fn tell_once(ctx: *const Context, socket: Socket, entry: &Entry) {
    if SOCKETS.insert(socket.key(), entry, BPF_NOEXIST).is_err() || entry.is(flags::DROPPED) {
        return;
    }
    let header = emit::header_of(Kind::Open, LEN, entry.owner);
    let record = Record { header, body: body(entry, Ending::default()) };
    // SAFETY: the context is live. A full buffer makes the kernel run us again for the same file: as if
    // for the first time.
    if !iterator::write(unsafe { (*ctx).meta }, &raw const record, LEN) {
        let _ = SOCKETS.remove(socket.key());
    }
}
