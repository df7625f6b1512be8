//! Control groups.

use super::Pointer;

/// `struct cgroup`.
#[derive(Clone, Copy)]
pub struct Cgroup(pub Pointer);

impl Cgroup {
    /// Its id, 0 where the kernel does not tell.
    #[inline(always)]
    pub fn id(self) -> u64 {
        follow!(self.0, cgroup_kn).and_then(|node| load!(node, kernfs_node_id as u64)).unwrap_or(0)
    }

    /// The number of its hierarchy, as in /proc/PID/cgroup: 0 is cgroup2.
    #[inline(always)]
    pub fn hierarchy(self) -> u32 {
        let root = follow!(self.0, cgroup_root);
        root.and_then(|root| load!(root, cgroup_root_hierarchy_id as u32)).unwrap_or(u32::MAX)
    }
}
