//! Containers: which one a process is in, and what its runtime says of it.
//!
//! ```text
//! path     a cgroup's path names a container, no I/O     table      cgroup id → container, bounded
//! finder   the path of a cgroup that no record told of   asker      questions to runtimes, on a thread of their own
//! details  what a runtime says, cut to a size            cri        the runtimes of Kubernetes     docker   Docker
//! ```
//!
//! A process is in the container that its cgroup names, so the id of that cgroup, which comes with every event, is
//! all that is looked up on an event's way. Its path is learnt once: from a record of the kernel when the cgroup is
//! made, from a list of all cgroups at start, or, where a record was lost or there are no probes, when a process is
//! first seen in it.
//!
//! What its runtime says of it comes later, as it has to be asked: events tell what is known when they are told, and
//! one of its own, `container_seen`, tells of the rest.

mod asker;
mod cri;
mod details;
mod docker;
mod finder;
mod path;
mod table;

pub use asker::{Asker, MAX_SOCKETS, Sockets};
pub use details::{Details, Source};
pub use path::{Named, named};
pub use table::{Container, Containers};
