//! Every map. Sizes that depend on the host are set by the loader.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::LpmTrie;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use wanglou_sensor_common::counters::Counters;
use wanglou_sensor_common::{EXECUTABLE_MAX, Offsets, Rules, Settings, Shedding};

use crate::kernel::Owner;
use crate::limit::Window;
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

/// What is given up. Userspace writes here without a system call.
#[map]
pub static SHEDDING: Array<Shedding> = Array::with_max_entries(1, BPF_F_MMAPABLE);

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
    ring_bytes: 0,
    wake_bytes: 0,
    exit_tells_group_dead: 0,
    cgroup_subsys: wanglou_sensor_common::ABSENT,
    cgroup_hierarchy: 0,
    args_bytes: wanglou_sensor_common::ARGS_MAX as u32,
    iterator_slot: 0,
    loopback: 0,
    accept_arguments: 0,
    receive_arguments: 0,
    sensor_pid: 0,
    process_limit: 0,
    cgroup_limit: 0,
    quiet_limit: 0,
    process_events_limit: 0,
    quiet_process_events: 0,
});

/// Which connections are told of; the loader fills the tables below with it.
#[unsafe(no_mangle)]
pub static RULES: Global<Rules> = Global::new(Rules::NONE);

/// Rules for each other end's address, IPv4 mapped into IPv6: the longest prefix has those of the
/// shorter ones that it lies in.
#[map]
pub static ADDRESS_RULES: LpmTrie<[u32; 4], u64> =
    LpmTrie::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// Rules for each port. The loader makes room where rules name any.
#[map]
pub static PORT_RULES: Array<u64> = Array::with_max_entries(1, 0);

/// Rules for each real user id that one names.
#[map]
pub static USER_RULES: HashMap<u32, u64> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// Rules that name a cgroup, by its id.
#[map]
pub static CGROUP_RULES: HashMap<u64, u64> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// Rules for the executables that one names, by [`ExecutableKey`].
#[map]
pub static EXECUTABLE_RULES: LpmTrie<[u8; EXECUTABLE_MAX], u64> =
    LpmTrie::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Of the processes that run one of these, by thread group id. One that finds no room counts as
/// running none.
#[map]
pub static PROCESS_RULES: HashMap<u32, u64> =
    HashMap::with_max_entries(32 << 10, BPF_F_NO_PREALLOC);

/// What processes do, on each CPU.
#[map]
pub static PROCESS_EVENTS_HERE: PerCpuArray<Window> = PerCpuArray::with_max_entries(1, 0);

/// What the processes of busy cgroups do.
#[map]
pub static PROCESS_EVENTS_BY_CGROUP: LruHashMap<u64, Window> =
    LruHashMap::with_max_entries(1024, 0);

/// What begins on each CPU.
#[map]
pub static BEGUN_HERE: PerCpuArray<Window> = PerCpuArray::with_max_entries(1, 0);

/// What the busy processes begin.
#[map]
pub static BEGUN_BY_PROCESS: LruHashMap<u32, Window> = LruHashMap::with_max_entries(4096, 0);

/// What the busy cgroups begin.
#[map]
pub static BEGUN_BY_CGROUP: LruHashMap<u64, Window> = LruHashMap::with_max_entries(1024, 0);

/// A field of [`SETTINGS`]: a constant to the verifier, as the map behind it is read-only and frozen.
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: a field of a static; volatile, as the loader sets it after compilation.
        unsafe {
            let settings =
                (&raw const $crate::maps::SETTINGS).cast::<wanglou_sensor_common::Settings>();
            (&raw const (*settings).$field).read_volatile()
        }
    };
}
pub(crate) use setting;

/// A field of [`RULES`], in the same way.
macro_rules! rules {
    ($field:ident) => {
        // SAFETY: as above.
        unsafe {
            let rules = (&raw const $crate::maps::RULES).cast::<wanglou_sensor_common::Rules>();
            (&raw const (*rules).$field).read_volatile()
        }
    };
}
pub(crate) use rules;
