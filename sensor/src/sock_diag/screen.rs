//! What rules say of sockets where no probe asks them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::{fs, io};

use crate::filter::{Direction, Filter, Process, Subject};
use crate::observation::{Connection, Turn};
use crate::procfs::cgroup::Cgroups;
use crate::procfs::{Detail, Reader};

/// A filter, and the processes that it asked about in one look.
pub(super) struct Screen<'a> {
    filter: &'a Filter,
    processes: Option<Processes>,
}

struct Processes {
    reader: Reader,
    cgroups: Option<Cgroups>,
    known: HashMap<u32, Process>,
}

impl<'a> Screen<'a> {
    /// Opens what it takes to know processes, if a rule names any.
    pub(super) fn of(filter: &'a Filter) -> io::Result<Self> {
        let processes = if filter.asks_for_owners() { Some(Processes::open()?) } else { None };
        Ok(Self { filter, processes })
    }

    /// Whether a socket is to be told of; `pid` is 0 where its owner is not known.
    pub(super) fn keeps(&mut self, connection: &Connection, pid: u32) -> bool {
        let (direction, far, port) = match connection.turn {
            Turn::Listen => (Direction::Listen, connection.local, connection.local.port()),
            _ if connection.egress => {
                (Direction::Egress, connection.remote, connection.remote.port())
            }
            _ => (Direction::Ingress, connection.remote, connection.local.port()),
        };
        let processes = self.processes.as_mut().filter(|_| pid != 0);
        let owner = processes.map(|processes| processes.know(pid));
        !self.filter.drops(&Subject { direction, address: far.ip(), port, owner })
    }
}

impl Processes {
    fn open() -> io::Result<Self> {
        let mounts = fs::read("/proc/self/mountinfo")?;
        let (reader, cgroups) = (Reader::open()?, Cgroups::open(&mounts));
        Ok(Self { reader, cgroups, known: HashMap::new() })
    }

    fn know(&mut self, pid: u32) -> &Process {
        match self.known.entry(pid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(look(&mut self.reader, self.cgroups.as_ref(), pid)),
        }
    }
}

/// What /proc says; nothing of a process that is gone.
fn look(reader: &mut Reader, cgroups: Option<&Cgroups>, pid: u32) -> Process {
    let text = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let cgroup = cgroups.and_then(|cgroups| cgroups.path(&text)).map(<[u8]>::to_vec);
    let seen = reader.read(pid, Detail::Image);
    let user = seen.as_ref().and_then(|seen| seen.state.user).map(|user| user.real);
    let executable = seen.and_then(|seen| seen.image.executable).map(<[u8]>::to_vec);
    Process { user, cgroup, executable }
}
