use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Rules at most: each is a bit of a word, the first the lowest.
pub const RULES_MAX: usize = 64;

/// Bytes of a path that is compared with those of rules, its NULs included: the most that a trie of
/// the kernel takes (`LPM_DATA_SIZE_MAX`, kernel/bpf/lpm_trie.c).
pub const EXECUTABLE_MAX: usize = 256;

/// Which connections are told of, as words of rules: a connection looks up a word by each thing that
/// rules name, what is in all of them holds, and the first that holds decides. No rule, no lookup.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Rules {
    /// Every rule there is.
    pub all: u64,
    /// Those that drop; the others keep.
    pub drop: u64,
    /// Those for what is opened from here.
    pub egress: u64,
    /// Those for what is taken.
    pub ingress: u64,
    /// Those for sockets that listen.
    pub listen: u64,
    /// Those that name no address.
    pub any_address: u64,
    /// Those that name no port.
    pub any_port: u64,
    /// Those that name no user.
    pub any_user: u64,
    /// Those that name no cgroup.
    pub any_cgroup: u64,
    /// Those that name no executable.
    pub any_executable: u64,
}

impl Rules {
    /// Nothing is asked: all is kept.
    pub const NONE: Self = Self {
        all: 0,
        drop: 0,
        egress: 0,
        ingress: 0,
        listen: 0,
        any_address: 0,
        any_port: 0,
        any_user: 0,
        any_cgroup: 0,
        any_executable: 0,
    };
}
