use std::net::IpAddr;

use super::rule::{Direction, Rule};

/// What a filter is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The other end's address; of a socket that listens, its own.
    pub address: IpAddr,
    /// The port of who is called: there if this side opened it, else here.
    pub port: u16,
    /// Whose it is; `None` if nobody knows.
    pub owner: Option<&'a Process>,
}

/// A process as far as rules can name one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Real user id.
    pub user: Option<u32>,
    /// Path of its cgroup.
    pub cgroup: Option<Vec<u8>>,
    /// Path of what it runs, in its own root.
    pub executable: Option<Vec<u8>>,
}

impl Rule {
    /// Whether all its conditions do.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let address = match subject.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        any(&self.directions, |direction| *direction == subject.direction)
            && any(&self.addresses, |range| range.contains(&address))
            && any(&self.ports, |range| range.contains(&subject.port))
            && any(&self.users, |user| subject.owner.and_then(|it| it.user) == Some(*user))
            && any(&self.cgroups, |path| of(subject, |it| &it.cgroup, |own| is_in(own, path)))
            && any(&self.executables, |path| {
                of(subject, |it| &it.executable, |own| ends(own, path))
            })
    }
}

/// A condition that names nothing holds for everything.
fn any<T>(values: &[T], holds: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(holds)
}

fn of(
    subject: &Subject<'_>,
    path: impl Fn(&Process) -> &Option<Vec<u8>>,
    holds: impl Fn(&[u8]) -> bool,
) -> bool {
    subject.owner.and_then(|owner| path(owner).as_deref()).is_some_and(holds)
}

/// Whether a cgroup is that one or lies in it.
fn is_in(cgroup: &[u8], path: &str) -> bool {
    let path = path.trim_end_matches('/').as_bytes();
    cgroup.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether a path is that one, or ends in those names.
fn ends(executable: &[u8], path: &str) -> bool {
    let rest = executable.strip_suffix(path.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || !path.starts_with('/') && rest.ends_with(b"/"))
}
