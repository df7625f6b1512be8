//! What is said over UDP, summed for each socket and other end. `cgroup/sendmsg` and `recvmsg` know the
//! other end of a datagram where the socket has none of its own, and the length tracepoints, which
//! come after them in the same thread, know its size; before 6.3 the functions of `udp.rs` do.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{bpf_sock, bpf_sock_addr};
use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_map_delete_elem};
use aya_ebpf::macros::{cgroup_sock, cgroup_sock_addr};
use aya_ebpf::programs::{SockAddrContext, SockContext};
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::{Flow as Body, Tuple};
use wanglou_sensor_common::{Header, Kind};

use crate::emit::{self, Event};
use crate::filter::{self, Direction};
use crate::iterator::{self, Element};
use crate::kernel::{Mapped as _, Owner, Socket, mapped};
use crate::limit;
use crate::maps::{FLOWS, LATEST_FLOWS, PEERS, setting};

/// What a program of a cgroup answers to have the kernel go on.
const ALLOW: i32 = 1;
const IPPROTO_UDP: u32 = 17;
const AF_INET6: u16 = 10;
/// `MSG_PEEK`, include/linux/socket.h: it will be received again.
pub const MSG_PEEK: u32 = 2;
const BPF_ANY: u64 = 0;
const BPF_NOEXIST: u64 = 1;

/// The other end of the datagram that a thread is at work on; a key of [`FLOWS`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Key {
    pub socket: u64,
    pub remote: [u32; 4],
    pub remote_port: u64,
}

/// What becomes of a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Fate {
    /// It is told of.
    Told,
    /// A rule drops it.
    Dropped,
    /// Its owner begins too many.
    Throttled,
}

/// A flow since it was last told of.
#[repr(C)]
pub struct Flow {
    pub owner: Owner,
    pub fate: Fate,
    pub body: Body,
}

#[repr(C)]
struct Record {
    header: Header,
    body: Body,
}

const LEN: u32 = size_of::<Record>() as u32;

/// Which way a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Out,
    In,
}

#[cgroup_sock_addr(sendmsg4)]
fn sendmsg4(ctx: SockAddrContext) -> i32 {
    peer_v4(ctx.sock_addr);
    ALLOW
}

#[cgroup_sock_addr(sendmsg6)]
fn sendmsg6(ctx: SockAddrContext) -> i32 {
    peer_v6(ctx.sock_addr);
    ALLOW
}

#[cgroup_sock_addr(recvmsg4)]
fn recvmsg4(ctx: SockAddrContext) -> i32 {
    peer_v4(ctx.sock_addr);
    ALLOW
}

#[cgroup_sock_addr(recvmsg6)]
fn recvmsg6(ctx: SockAddrContext) -> i32 {
    peer_v6(ctx.sock_addr);
    ALLOW
}

#[inline(always)]
fn peer_v4(ctx: *mut bpf_sock_addr) {
    // SAFETY: the kernel hands a live context, whose words are read one by one.
    let address = unsafe { (&raw const (*ctx).user_ip4).read_volatile() };
    remember_peer(ctx, mapped(address));
}

#[inline(always)]
fn peer_v6(ctx: *mut bpf_sock_addr) {
    // SAFETY: as above.
    let word = |n: usize| unsafe { (&raw const (*ctx).user_ip6[n]).read_volatile() };
    remember_peer(ctx, [word(0), word(1), word(2), word(3)]);
}

#[inline(always)]
fn remember_peer(ctx: *mut bpf_sock_addr, remote: [u32; 4]) {
    // SAFETY: as above.
    let (port, socket) = unsafe {
        (
            (&raw const (*ctx).user_port).read_volatile(),
            (&raw const (*ctx).__bindgen_anon_1.sk).read_volatile() as u64,
        )
    };
    let key = Key { socket, remote, remote_port: u16::from_be(port as u16).into() };
    // Without it the datagram counts as one of an end that nobody asked for.
    let _ = PEERS.insert(thread(), key, BPF_ANY);
}

#[inline(always)]
fn thread() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task() }
}

/// A datagram was sent or received.
#[inline(always)]
pub fn datagram(socket: Socket, way: Way, bytes: u64) {
    let Some(key) = key(socket) else { return };
    let flow = match FLOWS.get_ptr_mut(key) {
        Some(flow) => flow,
        None => match begin(socket, &key, way) {
            Some(flow) => flow,
            None => return,
        },
    };
    // SAFETY: a live map value; added to atomically, as threads share sockets.
    unsafe {
        let body = &raw mut (*flow).body;
        (&raw mut (*body).last).write_volatile(emit::now());
        let (packets, sum) = match way {
            Way::Out => (&raw mut (*body).sent_packets, &raw mut (*body).sent_bytes),
            Way::In => (&raw mut (*body).received_packets, &raw mut (*body).received_bytes),
        };
        emit::add(packets, 1);
        emit::add(sum, bytes);
    }
}

/// The flow that a datagram belongs to: by the socket's own other end, or what the thread was asked.
#[inline(always)]
fn key(socket: Socket) -> Option<Key> {
    let tuple = socket.tuple(0);
    let mut key = Key {
        socket: socket.key(),
        remote: tuple.mapped_remote(),
        remote_port: tuple.remote_port.into(),
    };
    if tuple.remote_port == 0
        && let Some(peer) = PEERS.get_ptr_mut(thread())
    {
        // SAFETY: only this thread writes it.
        let peer = unsafe { &mut *peer };
        if peer.socket == key.socket {
            key = *peer;
            // The next datagram may come without.
            peer.socket = 0;
        }
    }
    let unwanted = setting!(loopback) == 0 && crate::kernel::is_loopback(key.remote);
    (!unwanted).then_some(key)
}

#[inline(always)]
fn begin(socket: Socket, key: &Key, way: Way) -> Option<*mut Flow> {
    let own = socket.tuple(socket.bound_port());
    let tuple = Tuple {
        local: own.mapped_local(),
        remote: key.remote,
        remote_port: key.remote_port as u16,
        family: AF_INET6,
        ..own
    };
    let now = emit::now();
    let body = Body {
        tuple,
        first: now,
        last: now,
        sent_bytes: 0,
        sent_packets: 0,
        received_bytes: 0,
        received_packets: 0,
        egress: u64::from(way == Way::Out),
    };
    let owner = Owner::current();
    let fate = fate(&tuple, way, &owner);
    let flow = Flow { owner, fate, body };
    let _ = FLOWS.insert(key, &flow, BPF_NOEXIST);
    let _ = LATEST_FLOWS.insert(key.socket, key, BPF_ANY);
    let flow = FLOWS.get_ptr_mut(key);
    if flow.is_none()
        && fate != Fate::Dropped
        && let Some(event) = Event::seen(Stream::Flow)
    {
        event.table_full();
    }
    flow
}

#[inline(always)]
fn fate(tuple: &Tuple, way: Way, owner: &Owner) -> Fate {
    let direction = if way == Way::Out { Direction::Egress } else { Direction::Ingress };
    match () {
        () if filter::drops(tuple, direction, owner) => Fate::Dropped,
        () if limit::is_over(owner) => Fate::Throttled,
        () => Fate::Told,
    }
}

/// A socket is closed: its latest flow, mostly the only one, is told of now; the others when they
/// are swept.
#[cgroup_sock(sock_release)]
fn release(ctx: SockContext) -> i32 {
    let sock: *mut bpf_sock = ctx.as_ptr().cast();
    // SAFETY: the kernel hands a live context.
    if unsafe { (&raw const (*sock).protocol).read_volatile() } != IPPROTO_UDP {
        return ALLOW;
    }
    let socket = sock as u64;
    // SAFETY: a copy; entries are replaced, not written.
    let Some(key) = (unsafe { LATEST_FLOWS.get(socket) }).copied() else { return ALLOW };
    let _ = LATEST_FLOWS.remove(socket);
    // SAFETY: the socket is closed: nobody adds any more.
    if let Some(flow) = unsafe { FLOWS.get(key) } {
        if flow.is_new() && flow.fate == Fate::Throttled {
            throttle();
        } else if flow.is_new()
            && flow.fate == Fate::Told
            && let Some(event) = Event::unless_shed(Stream::Flow)
        {
            let header = event.header_of(Kind::Flow, LEN, flow.owner);
            let record = Record { header, body: flow.body };
            event.send((&raw const record).cast(), LEN);
        }
        let _ = FLOWS.remove(key);
    }
    ALLOW
}

/// Counts a sum that is not told.
#[inline(always)]
fn throttle() {
    if let Some(event) = Event::seen(Stream::Flow) {
        event.throttled();
    }
}

impl Flow {
    /// Something was said since it was last told of.
    #[inline(always)]
    fn is_new(&self) -> bool {
        self.body.sent_packets + self.body.received_packets != 0
    }
}

/// Writes a record for every flow in which something was said since the last time, and forgets those
/// in which nothing was.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
extern "C" fn flows(ctx: *const Element<Key, Flow>) -> i32 {
    let Some((key, flow)) = Element::parts(ctx) else { return 0 };
    if !flow.is_new() {
        let flows = (&raw const FLOWS).cast_mut().cast();
        // SAFETY: a hash map and one of its keys.
        unsafe { bpf_map_delete_elem(flows, (&raw const key).cast_mut().cast()) };
        return 0;
    }
    let header = emit::header_of(Kind::Flow, LEN, flow.owner);
    let record = Record { header, body: flow.body };
    let is_done = match flow.fate {
        // SAFETY: the context is live.
        Fate::Told => iterator::write(unsafe { (*ctx).meta }, &raw const record, LEN),
        Fate::Throttled => {
            throttle();
            true
        }
        Fate::Dropped => true,
    };
    if is_done {
        let told = &record.body;
        // What was said meanwhile stays.
        for (counter, told) in [
            (&raw mut flow.body.sent_bytes, told.sent_bytes),
            (&raw mut flow.body.sent_packets, told.sent_packets),
            (&raw mut flow.body.received_bytes, told.received_bytes),
            (&raw mut flow.body.received_packets, told.received_packets),
        ] {
            // SAFETY: in a live map value.
            unsafe { emit::add(counter, told.wrapping_neg()) };
        }
    }
    0
}
