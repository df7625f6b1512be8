use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::asker::{Answer, Asker};
use super::details::Details;
use super::finder::{Finder, Found};
use super::path::{Named, named};

/// cgroups known at most: those that are used least go first. With the containers and what is usually said of them a
/// megabyte on a host that has as many, and three if all of it is as long as it may be.
const GROUPS: usize = 4096;
/// Containers known at most.
const CONTAINERS: usize = 1024;
/// What nobody knows yet is asked for again after so long, then after four times as long, up to the longest, ns.
const AGAIN_NS: u64 = 1_000_000_000;
const AGAIN_AT_MOST_NS: u64 = 256_000_000_000;
/// So often of itself; after that, which is a minute and a half later, only if something happens in it.
const TRIES: u32 = 4;

/// A container.
#[derive(Debug)]
pub struct Container {
    /// Its id.
    pub id: Arc<str>,
    /// What runs it, as its path tells.
    pub runtime: Option<&'static str>,
    /// What the runtime says of it, once it has been asked.
    pub details: Option<Box<Details>>,
    /// Boot-clock time from which it may be asked for, ns; `None` while somebody is asked, and once that is known.
    ask_at: Option<u64>,
    refusals: u32,
    used: u64,
}

/// The cgroups of a host that something was seen in, and the containers that they belong to.
pub struct Containers {
    finder: Finder,
    asker: Asker,
    groups: HashMap<u64, Group, RandomState>,
    /// By their index in the other two.
    containers: Vec<Container>,
    by_id: HashMap<Arc<str>, usize, RandomState>,
    /// Look-ups so far.
    looked: u64,
    /// Boot-clock time at which somebody may have to be asked again, ns.
    again_at: u64,
}

/// A cgroup.
struct Group {
    container: Option<usize>,
    used: u64,
}

impl Containers {
    /// Those that are there now; what else is known of them has to be asked for.
    pub fn open(asker: Asker) -> Self {
        let mut containers = Self::none(asker);
        containers.finder = Finder::open();
        let mut found = Vec::new();
        containers.finder.walk(&mut |id, path| {
            if found.len() < GROUPS || named(path).is_some() {
                found.push((id, path.to_vec()));
            }
        });
        for (id, path) in found {
            containers.learn(id, &path);
        }
        containers
    }

    fn none(asker: Asker) -> Self {
        Self {
            finder: Finder::default(),
            asker,
            groups: HashMap::default(),
            containers: Vec::new(),
            by_id: HashMap::default(),
            looked: 0,
            again_at: u64::MAX,
        }
    }

    /// A cgroup has this path.
    pub fn learn(&mut self, cgroup: u64, path: &[u8]) {
        let container = named(path).map(|named| self.container(&named));
        self.add(cgroup, container);
    }

    /// Something was seen in a cgroup, at a time (boot clock, ns): makes sure that it is known, and has somebody asked
    /// about its container. `path` is the cgroup's where it was read.
    pub fn see(&mut self, cgroup: u64, path: Option<&[u8]>, pid: u32, now: u64) {
        self.looked += 1;
        let at = match self.groups.get_mut(&cgroup) {
            Some(group) => {
                group.used = self.looked;
                group.container
            }
            None => {
                self.find(cgroup, path, pid, now);
                self.groups.get(&cgroup).and_then(|group| group.container)
            }
        };
        let Some(at) = at else { return };
        let container = &mut self.containers[at];
        container.used = self.looked;
        if !container.is_due(now) {
            return;
        }
        if self.asker.ask(&container.id, container.runtime) {
            container.ask_at = None;
        } else {
            self.again_at = self.again_at.min(now + AGAIN_NS);
        }
    }

    /// The container that a cgroup belongs to, as far as that is known.
    pub fn of(&self, cgroup: u64) -> Option<&Container> {
        self.groups.get(&cgroup)?.container.map(|at| &self.containers[at])
    }

    /// The next container of which more is known now than before.
    pub fn completed(&mut self, now: u64) -> Option<&Container> {
        self.ask_again(now);
        while let Some(Answer { id, details }) = self.asker.answer() {
            // One that has been forgotten meanwhile is asked for again when it is seen.
            let Some(&at) = self.by_id.get(&id) else { continue };
            let container = &mut self.containers[at];
            let Some(details) = details else {
                self.again_at = self.again_at.min(container.is_unknown(now));
                continue;
            };
            container.details = Some(Box::new(details));
            return Some(&self.containers[at]);
        }
        None
    }

    /// Asks about those again that nobody knew, or that there was no room to ask about: what does nothing for long is
    /// to have a name as well.
    fn ask_again(&mut self, now: u64) {
        if now < self.again_at {
            return;
        }
        self.again_at = u64::MAX;
        for container in &mut self.containers {
            let is_wanted = container.used > 0 && container.refusals <= TRIES;
            let Some(at) = container.ask_at.filter(|_| is_wanted) else { continue };
            if at > now {
                self.again_at = self.again_at.min(at);
            } else if self.asker.ask(&container.id, container.runtime) {
                container.ask_at = None;
            } else {
                self.again_at = self.again_at.min(now + AGAIN_NS);
            }
        }
    }

    fn find(&mut self, cgroup: u64, path: Option<&[u8]>, pid: u32, now: u64) {
        match path {
            Some(path) => self.learn(cgroup, path),
            None => match self.finder.find(cgroup, pid, now) {
                Found::Path(path) => self.learn(cgroup, &path),
                Found::Nothing => self.add(cgroup, None),
                Found::Later => {}
            },
        }
    }

    fn add(&mut self, cgroup: u64, container: Option<usize>) {
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&cgroup) {
            let oldest = self.groups.iter().min_by_key(|(_, group)| group.used);
            if let Some(id) = oldest.map(|(&id, _)| id) {
                self.groups.remove(&id);
            }
        }
        self.groups.insert(cgroup, Group { container, used: self.looked });
    }

    /// The place of a container, which it gets if it has none.
    fn container(&mut self, named: &Named<'_>) -> usize {
        if let Some(&at) = self.by_id.get(&*named.id) {
            return at;
        }
        let id = Arc::<str>::from(&*named.id);
        let new = Container {
            id: Arc::clone(&id),
            runtime: named.runtime,
            details: None,
            // Those that have names have nobody who could be asked.
            ask_at: (named.runtime != Some("lxc") && named.runtime != Some("systemd-nspawn"))
                .then_some(0),
            refusals: 0,
            used: self.looked,
        };
        let at = if self.containers.len() < CONTAINERS {
            self.containers.push(new);
            self.containers.len() - 1
        } else {
            let at = self.forgettable();
            self.by_id.remove(&self.containers[at].id);
            self.groups.retain(|_, group| group.container != Some(at));
            self.containers[at] = new;
            at
        };
        self.by_id.insert(id, at);
        at
    }

    /// The one that has not been used for longest.
    fn forgettable(&self) -> usize {
        let containers = self.containers.iter().enumerate();
        containers.min_by_key(|(_, container)| container.used).map_or(0, |(at, _)| at)
    }
}

impl Container {
    fn is_due(&self, now: u64) -> bool {
        self.ask_at.is_some_and(|at| at <= now)
    }

    /// Nobody knows it: it may be younger than what its runtime tells of it. Says when to ask again.
    fn is_unknown(&mut self, now: u64) -> u64 {
        let wait = AGAIN_NS.saturating_mul(4_u64.saturating_pow(self.refusals));
        self.refusals += 1;
        let at = now + wait.min(AGAIN_AT_MOST_NS);
        self.ask_at = Some(at);
        at
    }
}

impl fmt::Debug for Containers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Containers({})", self.containers.len())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::asker::Sockets;
    use super::*;

    /// On a host without runtimes.
    fn none() -> Containers {
        Containers::none(Asker::new(Sockets { cri: Vec::new(), docker: PathBuf::new() }))
    }

    fn path(n: usize) -> Vec<u8> {
        format!("/docker/{n:064x}").into_bytes()
    }

    fn id(containers: &Containers, cgroup: u64) -> Option<&str> {
        containers.of(cgroup).map(|it| &*it.id)
    }

    #[test]
    fn cgroups_of_one_container_are_one_container() {
        let mut containers = none();
        containers.learn(1, &path(7));
        containers.learn(2, &[&path(7)[..], b"/init.scope"].concat());
        containers.learn(3, b"/system.slice/ssh.service");
        let expected = format!("{:064x}", 7);
        assert_eq!(
            [1, 2, 3].map(|it| id(&containers, it)),
            [Some(&*expected), Some(&*expected), None]
        );
        assert_eq!(containers.containers.len(), 1);
    }

    #[test]
    fn a_path_that_comes_with_the_event_is_enough() {
        let mut containers = none();
        containers.see(5, Some(&path(1)), 0, 0);
        assert!(id(&containers, 5).is_some());
    }

    #[test]
    fn those_used_least_are_forgotten() {
        let mut containers = none();
        for n in 0..CONTAINERS {
            containers.see(n as u64, Some(&path(n)), 0, 0);
        }
        // All but one are used again.
        for n in (0..CONTAINERS).filter(|n| *n != 17) {
            containers.see(n as u64, None, 0, 0);
        }
        containers.see(9_999, Some(&path(9_999)), 0, 0);
        assert_eq!(id(&containers, 17), None);
        assert_eq!(id(&containers, 9_999), Some(&*format!("{:064x}", 9_999)));
        assert!((0..CONTAINERS as u64).filter(|n| *n != 17).all(|n| id(&containers, n).is_some()));
        assert_eq!(containers.by_id.len(), CONTAINERS);
    }

    #[test]
    fn cgroups_of_the_host_are_bounded_too() {
        let mut containers = none();
        containers.see(0, Some(&path(1)), 0, 0);
        for n in 1..2 * GROUPS as u64 {
            containers.see(n, Some(b"/system.slice/a.service"), 0, 0);
            containers.see(0, None, 0, 0);
        }
        assert_eq!(containers.groups.len(), GROUPS);
        assert!(id(&containers, 0).is_some(), "used all the time");
    }

    #[test]
    fn what_nobody_knows_is_asked_for_again_later() {
        let mut containers = none();
        containers.see(1, Some(&path(1)), 0, 10);
        let container = &mut containers.containers[0];
        assert!(!container.is_due(u64::MAX), "one question at a time");
        let mut now = 20;
        for wait in [1, 4, 16, 64, 256, 256] {
            container.is_unknown(now);
            now += wait * 1_000_000_000;
            assert!(!container.is_due(now - 1) && container.is_due(now));
        }
    }

    /// Without a further event: the first process of a pod only sleeps.
    #[test]
    fn what_does_nothing_is_asked_for_again_too() {
        let mut containers = none();
        containers.see(1, Some(&path(1)), 0, 0);
        let mut now = 0;
        let mut asked = 0;
        for _ in 0..10_000 {
            now += AGAIN_NS / 20;
            assert!(containers.completed(now).is_none(), "there is no runtime");
            let is_asked = containers.containers[0].ask_at.is_none();
            if is_asked {
                asked += 1;
                while containers.containers[0].ask_at.is_none() {
                    std::thread::yield_now();
                    containers.completed(now);
                }
            }
        }
        assert_eq!(asked, 1 + TRIES);
        containers.see(1, None, 0, now);
        assert!(containers.containers[0].ask_at.is_none(), "it does something");
    }

    /// On a host with many, at start.
    #[test]
    fn those_that_there_was_no_room_to_ask_about_are_not_forgotten() {
        let mut containers = none();
        for n in 0..500 {
            containers.see(n as u64, Some(&path(n)), 0, 0);
        }
        let waiting = |it: &Containers| it.containers.iter().filter(|it| it.refusals == 0).count();
        let mut now = 0;
        while waiting(&containers) > 400 {
            now += AGAIN_NS;
            assert!(containers.completed(now).is_none(), "there is no runtime");
            std::thread::yield_now();
        }
    }

    #[test]
    fn where_nobody_can_be_asked_nobody_is() {
        let mut containers = none();
        containers.see(1, Some(b"/lxc.payload.web"), 0, 10);
        containers.see(2, Some(b"/machine.slice/machine-web.scope"), 0, 10);
        assert!(containers.containers.iter().all(|it| !it.is_due(u64::MAX)));
        assert!(containers.completed(0).is_none());
    }
}
