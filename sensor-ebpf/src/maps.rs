//! Every map. Sizes that depend on the host are set by the loader.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use wanglou_sensor_common::counters::Counters;
use wanglou_sensor_common::{Offsets, Settings};

use crate::kernel::Owner;
use crate::probe::connection::{Entry, Listener, Turn};
use crate::probe::flow::{Flow, Key};
use crate::scratch::{SMALL_WORDS, Slot};

/// Userspace reads counters as memory, without a system call and without a right.
const BPF_F_MMAPABLE: u32 = 1 << 10;
/// Entries are allocated when they are needed.
const BPF_F_NO_PREALLOC: u32 = 1;

/// Connections known at most; those beyond are told of as lost.
const MAX_SOCKETS: u32 = 512 << 10;

/// All events, in the order of their reservation. The loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// [`Counters`] at `cpu * streams + stream`. The loader sets the number.
#[map]
pub static COUNTERS: Array<Counters> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Where records are put together: [`crate::scratch::LEVELS`] slots for each CPU, one after them
/// for the iterator. An array, as the kernel refuses per-CPU values over 32 KiB. The loader sets
/// the number.
#[map]
pub static SCRATCH: Array<[u64; SMALL_WORDS]> = Array::with_max_entries(1, 0);

/// The same with room for long arguments; the loader makes slots here only when they are asked for.
#[map]
pub static LARGE_SCRATCH: Array<Slot> = Array::with_max_entries(1, 0);

/// How many of a CPU's slots are taken.
#[map]
pub static NESTING: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// Sockets of TCP whose life we have seen something of, by the address of their `struct sock`. Memory
/// is taken as they come: an entry takes about 200 bytes, an empty table 8 MiB.
#[map]
pub static SOCKETS: HashMap<u64, Entry> = HashMap::with_max_entries(MAX_SOCKETS, BPF_F_NO_PREALLOC);

/// Who listens: for a connection that nobody is seen to take. Of several that share a port, the
/// last.
#[map]
pub static LISTENERS: HashMap<Listener, Owner> =
    HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// What is said over UDP, until it is told.
#[map]
pub static FLOWS: HashMap<Key, Flow> = HashMap::with_max_entries(128 << 10, BPF_F_NO_PREALLOC);

/// The flow of each UDP socket that began last.
#[map]
pub static LATEST_FLOWS: HashMap<u64, Key> =
    HashMap::with_max_entries(128 << 10, BPF_F_NO_PREALLOC);

/// The other end of the datagram that each thread is at work on.
#[map]
pub static PEERS: LruHashMap<u64, Key> = LruHashMap::with_max_entries(8192, 0);

/// The change of state that the first of two programs on the tracepoint dealt with last.
#[map]
pub static LAST_TURN: PerCpuArray<Turn> = PerCpuArray::with_max_entries(1, 0);

/// Offsets of kernel structures, from the running kernel's BTF.
#[unsafe(no_mangle)]
pub static OFFSETS: Global<Offsets> = Global::new(Offsets::UNKNOWN);

/// What the loader decided.
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(Settings {
    wake_bytes: 0,
    exit_tells_group_dead: 0,
    cgroup_subsys: wanglou_sensor_common::ABSENT,
    args_bytes: wanglou_sensor_common::ARGS_MAX as u32,
    iterator_slot: 0,
    loopback: 0,
    accept_arguments: 0,
    receive_arguments: 0,
});
