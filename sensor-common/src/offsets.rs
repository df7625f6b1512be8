//! Where the kernel keeps what the probes read.
//!
//! rustc emits no CO-RE relocations, so the loader looks each member up in the running kernel's BTF
//! and hands the table to the probes as a read-only global: to the verifier they are constants.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The offset of a member that this kernel lacks.
pub const ABSENT: u32 = u32::MAX;

/// A member to be looked up.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Name of the structure.
    pub structure: &'static str,
    /// Path of the member in it, dots between.
    pub path: &'static str,
}

macro_rules! offsets {
    ($($field:ident: $structure:literal $path:literal,)*) => {
        /// Offsets in bytes, [`ABSENT`] where there is no such member.
        #[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
        #[repr(C)]
        pub struct Offsets {
            $(#[doc = concat!("`", $structure, ".", $path, "`")] pub $field: u32,)*
        }

        /// What to look up, in the order of the fields of [`Offsets`].
        pub const MEMBERS: &[Member] = &[
            $(Member { structure: $structure, path: $path },)*
        ];

        impl Offsets {
            /// Nothing is known.
            pub const UNKNOWN: Self = Self { $($field: ABSENT,)* };
        }
    };
}

offsets! {
    task_pid: "task_struct" "pid",
    task_tgid: "task_struct" "tgid",
    task_flags: "task_struct" "flags",
    task_group_leader: "task_struct" "group_leader",
    task_real_parent: "task_struct" "real_parent",
    task_start_boottime: "task_struct" "start_boottime",
    task_comm: "task_struct" "comm",
    task_cred: "task_struct" "cred",
    task_mm: "task_struct" "mm",
    task_fs: "task_struct" "fs",
    task_signal: "task_struct" "signal",
    task_nsproxy: "task_struct" "nsproxy",
    task_thread_pid: "task_struct" "thread_pid",
    task_cgroups: "task_struct" "cgroups",
    task_exit_code: "task_struct" "exit_code",
    task_sum_exec_runtime: "task_struct" "se.sum_exec_runtime",
    signal_live: "signal_struct" "live",
    signal_flags: "signal_struct" "flags",
    signal_group_exit_code: "signal_struct" "group_exit_code",
    signal_maxrss: "signal_struct" "maxrss",
    signal_sum_sched_runtime: "signal_struct" "sum_sched_runtime",
    signal_tty: "signal_struct" "tty",
    signal_pids: "signal_struct" "pids",
    cred_uid: "cred" "uid",
    cred_euid: "cred" "euid",
    cred_gid: "cred" "gid",
    cred_egid: "cred" "egid",
    mm_arg_start: "mm_struct" "arg_start",
    mm_arg_end: "mm_struct" "arg_end",
    mm_exe_file: "mm_struct" "exe_file",
    file_dentry: "file" "f_path.dentry",
    file_mnt: "file" "f_path.mnt",
    dentry_parent: "dentry" "d_parent",
    dentry_name: "dentry" "d_name.name",
    dentry_name_len: "dentry" "d_name.len",
    dentry_hash_pprev: "dentry" "d_hash.pprev",
    mount_mnt: "mount" "mnt",
    mount_parent: "mount" "mnt_parent",
    mount_mountpoint: "mount" "mnt_mountpoint",
    vfsmount_root: "vfsmount" "mnt_root",
    fs_root_dentry: "fs_struct" "root.dentry",
    fs_root_mnt: "fs_struct" "root.mnt",
    fs_pwd_dentry: "fs_struct" "pwd.dentry",
    fs_pwd_mnt: "fs_struct" "pwd.mnt",
    nsproxy_mnt_ns: "nsproxy" "mnt_ns",
    nsproxy_net_ns: "nsproxy" "net_ns",
    mnt_namespace_inum: "mnt_namespace" "ns.inum",
    net_inum: "net" "ns.inum",
    pid_namespace_inum: "pid_namespace" "ns.inum",
    pid_level: "pid" "level",
    pid_numbers: "pid" "numbers",
    css_set_dfl_cgrp: "css_set" "dfl_cgrp",
    css_set_subsys: "css_set" "subsys",
    css_cgroup: "cgroup_subsys_state" "cgroup",
    cgroup_kn: "cgroup" "kn",
    cgroup_root: "cgroup" "root",
    cgroup_root_hierarchy_id: "cgroup_root" "hierarchy_id",
    kernfs_node_id: "kernfs_node" "id",
    kernfs_node_parent: "kernfs_node" "parent",
    kernfs_node_rcu_parent: "kernfs_node" "__parent",
    tty_driver: "tty_struct" "driver",
    tty_index: "tty_struct" "index",
    tty_driver_major: "tty_driver" "major",
    tty_driver_minor_start: "tty_driver" "minor_start",
    bprm_argc: "linux_binprm" "argc",
    bprm_filename: "linux_binprm" "filename",
    bprm_interp: "linux_binprm" "interp",
    socket_sk: "socket" "sk",
    sock_state: "sock" "__sk_common.skc_state",
    sock_protocol: "sock" "sk_protocol",
    sock_family: "sock" "__sk_common.skc_family",
    sock_daddr: "sock" "__sk_common.skc_daddr",
    sock_rcv_saddr: "sock" "__sk_common.skc_rcv_saddr",
    sock_v6_daddr: "sock" "__sk_common.skc_v6_daddr",
    sock_v6_rcv_saddr: "sock" "__sk_common.skc_v6_rcv_saddr",
    sock_dport: "sock" "__sk_common.skc_dport",
    sock_num: "sock" "__sk_common.skc_num",
    sock_net: "sock" "__sk_common.skc_net.net",
    sock_flags: "sock" "__sk_common.skc_flags",
    sock_err: "sock" "sk_err",
    tcp_sport: "tcp_sock" "inet_conn.icsk_inet.inet_sport",
    tcp_bytes_sent: "tcp_sock" "bytes_sent",
    tcp_bytes_retrans: "tcp_sock" "bytes_retrans",
    tcp_bytes_received: "tcp_sock" "bytes_received",
    tcp_total_retrans: "tcp_sock" "total_retrans",
}

// The loader fills the table member by member.
const _: () = assert!(size_of::<Offsets>() == MEMBERS.len() * size_of::<u32>());
