//! Hosts whose streams end at this replica.
//!
//! ```text
//!            hello                    the stream breaks            GRACE_MS without another
//!  (none) ──────────▶ open, registered ───────────────▶ suspect ──────────────────────────▶ ended: lost
//!                       │ goodbye: ended        ▲ hello │
//!                       ▼                       └───────┘
//! ```
//!
//! A host may come back here before the old stream is known to be broken: of two streams of the same instance the later
//! one is the host's. Of two instances with the same id, as after a disk was copied, the one that was here first is
//! asked whether it lives; if it does, both do, and the later one is its twin. A host that another replica has registered
//! has moved there, if it is the same instance; else there is a twin at each, and the other replica says which is the host.

use std::collections::{BTreeSet, HashMap};

use wanglou_api::identity::Name;

use super::Millis;

/// Long enough for a sensor to come back after its connection broke.
pub(crate) const GRACE_MS: Millis = 5_000;
/// Long enough for one that was sent elsewhere to be there.
pub(crate) const MOVE_MS: Millis = 30_000;
/// Machines with the same id that are served, beside the one that is the host.
const MOST_TWINS: usize = 8;
/// Time for the older of two instances to answer.
pub(crate) const PROBE_MS: Millis = 10_000;

/// A stream, unique in this process.
pub(crate) type StreamId = u64;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// The host is here: its live key is to say so, with this session.
    Register { host: Name, session: StreamId },
    /// The host is no longer here: its live key is to go, and its end is to be written.
    End { host: Name, session: StreamId, goodbye: bool },
    /// This stream is to be closed: another one is the host's.
    Close { stream: StreamId },
    /// The host of this stream is to be asked whether it lives.
    Probe { stream: StreamId },
    /// There is another machine, or is no longer, that calls itself the same.
    Twins { host: Name, instances: Vec<String> },
    /// The host is suspect, or is no longer.
    Suspect { host: Name, is: bool },
    /// The host is another replica's, and has no stream here any more.
    Left { host: Name },
}

/// One stream of a host.
#[derive(Clone, Debug)]
struct Stream {
    id: StreamId,
    instance: String,
}

#[derive(Debug)]
struct Session {
    /// The one that counts.
    stream: Stream,
    /// It is broken, and until when another may take its place.
    broken: Option<Millis>,
    /// Another replica has registered another machine with the same id: what is here is not written.
    elsewhere: bool,
    /// Streams of other machines.
    twins: Vec<Stream>,
    /// That came while the first is being asked.
    waiting: Option<(Stream, Millis)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_host: HashMap<Name, Session>,
    /// When something is due for whom.
    due: BTreeSet<(Millis, Name)>,
}

impl Sessions {
    /// A stream has said hello.
    pub(crate) fn hello(
        &mut self,
        host: &Name,
        id: StreamId,
        instance: String,
        now: Millis,
    ) -> Vec<Do> {
        let stream = Stream { id, instance };
        let Some(session) = self.by_host.get_mut(host) else {
            self.by_host.insert(host.clone(), Session::new(stream, Vec::new()));
            return vec![Do::Register { host: host.clone(), session: id }];
        };
        if session.elsewhere && session.stream.instance != stream.instance {
            // Which of those is here again nobody can say but itself: it has come, and so it lives.
            session.elsewhere = false;
            session.twins.retain(|twin| twin.instance != stream.instance);
            let older = std::mem::replace(&mut session.stream, stream);
            session.twins.push(older);
            return vec![Do::Register { host: host.clone(), session: id }, session.twins_of(host)];
        }
        if session.broken.is_some() || session.stream.instance == stream.instance {
            return self.replace(host, stream);
        }
        if let Some(twin) = session.twins.iter_mut().find(|twin| twin.instance == stream.instance) {
            let old = std::mem::replace(twin, stream);
            return vec![Do::Close { stream: old.id }];
        }
        // The older may be the same machine before it lost its power.
        let mut todo = vec![Do::Probe { stream: session.stream.id }];
        if let Some((before, _)) = session.waiting.replace((stream, now)) {
            todo.push(Do::Close { stream: before.id });
        }
        self.due.insert((now + PROBE_MS, host.clone()));
        todo
    }

    /// The host of a stream has answered, to whatever it was.
    pub(crate) fn answered(&mut self, host: &Name, id: StreamId) -> Vec<Do> {
        let Some(session) = self.by_host.get_mut(host) else { return Vec::new() };
        if session.stream.id != id {
            return Vec::new();
        }
        let Some((twin, _)) = session.waiting.take() else { return Vec::new() };
        session.twins.push(twin);
        let mut todo = Vec::new();
        if session.twins.len() > MOST_TWINS {
            todo.push(Do::Close { stream: session.twins.remove(0).id });
        }
        todo.push(session.twins_of(host));
        todo
    }

    /// A stream has broken.
    pub(crate) fn broken(&mut self, host: &Name, id: StreamId, now: Millis) -> Vec<Do> {
        self.breaks(host, id, now, GRACE_MS)
    }

    /// A stream goes to another replica: it is given more time to be there.
    pub(crate) fn moves(&mut self, host: &Name, id: StreamId, now: Millis) -> Vec<Do> {
        self.breaks(host, id, now, MOVE_MS)
    }

    fn breaks(&mut self, host: &Name, id: StreamId, now: Millis, grace: Millis) -> Vec<Do> {
        let Some(session) = self.by_host.get_mut(host) else { return Vec::new() };
        if session.stream.id != id {
            return session.forget(host, id);
        }
        if session.elsewhere {
            return self.leave(host);
        }
        if let Some((waiting, _)) = session.waiting.take() {
            return self.replace(host, waiting);
        }
        if session.broken.is_some() {
            return Vec::new();
        }
        session.broken = Some(now + grace);
        self.due.insert((now + grace, host.clone()));
        vec![Do::Suspect { host: host.clone(), is: true }]
    }

    /// The host lives, and was told to come back later.
    pub(crate) fn waits(&mut self, host: &Name, until: Millis) {
        let Some(session) = self.by_host.get_mut(host) else { return };
        if let Some(broken) = &mut session.broken {
            *broken = (*broken).max(until + GRACE_MS);
            self.due.insert((*broken, host.clone()));
        }
    }

    /// A stream has said goodbye.
    pub(crate) fn goodbye(&mut self, host: &Name, id: StreamId) -> Vec<Do> {
        let Some(session) = self.by_host.get_mut(host) else { return Vec::new() };
        if session.stream.id != id {
            session.forget(host, id)
        } else if session.elsewhere {
            self.leave(host)
        } else {
            self.end(host, true)
        }
    }

    /// Another replica has registered the host, with this instance: it has moved there, or is another machine.
    pub(crate) fn taken(&mut self, host: &Name, instance: &str) -> Vec<Do> {
        let Some(session) = self.by_host.get_mut(host) else { return Vec::new() };
        let mut todo = Vec::new();
        session.twins.extend(session.waiting.take().map(|(stream, _)| stream));
        session.twins.retain(|twin| {
            let has_moved = twin.instance == instance;
            if has_moved {
                todo.push(Do::Close { stream: twin.id });
            }
            !has_moved
        });
        session.elsewhere = true;
        let has_moved = session.stream.instance == instance;
        if has_moved && session.broken.is_none() {
            todo.push(Do::Close { stream: session.stream.id });
        }
        if has_moved || session.broken.is_some() {
            todo.extend(self.leave(host));
        } else {
            todo.push(session.twins_of(host));
        }
        todo
    }

    /// No replica has the host any more: if it is here it is to be written again.
    pub(crate) fn freed(&mut self, host: &Name) -> Vec<Do> {
        let Some(session) = self.by_host.get_mut(host) else { return Vec::new() };
        if !std::mem::take(&mut session.elsewhere) {
            return Vec::new();
        }
        vec![
            Do::Register { host: host.clone(), session: session.stream.id },
            session.twins_of(host),
        ]
    }

    /// Whether somebody's time is over.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Time has passed. Of a host that another replica may have, as far as anybody knows, it has passed until `known` only;
    /// `None`: none has.
    pub(crate) fn advance(&mut self, now: Millis, known: Option<Millis>) -> Vec<Do> {
        let (mut todo, mut later) = (Vec::new(), Vec::new());
        while let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((at, host)) = self.due.pop_first()
        {
            let Some(session) = self.by_host.get_mut(&host) else { continue };
            if let Some(until) = session.broken.filter(|until| now >= *until) {
                if known.is_some_and(|known| known >= until) {
                    todo.extend(self.end(&host, false));
                } else {
                    later.push((at, host));
                }
            } else if session.waiting.as_ref().is_some_and(|(_, since)| now >= since + PROBE_MS)
                && let Some((waiting, _)) = session.waiting.take()
            {
                todo.extend(self.replace(&host, waiting));
            }
        }
        self.due.extend(later);
        todo
    }

    /// Whether a host is here.
    pub(crate) fn has(&self, host: &Name) -> bool {
        self.by_host.contains_key(host)
    }

    /// Hosts whose streams are broken, and that may come back.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = &Name> {
        let broken = self.by_host.iter().filter(|(_, session)| session.broken.is_some());
        broken.map(|(host, _)| host)
    }

    /// All streams of a host that are open here, the one that counts first.
    pub(crate) fn streams(&self, host: &Name) -> impl Iterator<Item = StreamId> {
        let session = self.by_host.get(host);
        let first = session.filter(|session| session.broken.is_none()).map(|it| it.stream.id);
        let others = session.into_iter().flat_map(|session| {
            session.twins.iter().chain(session.waiting.iter().map(|(stream, _)| stream))
        });
        first.into_iter().chain(others.map(|stream| stream.id))
    }

    /// The session that a host's live key should have, if it is here.
    #[cfg(test)]
    fn of(&self, host: &Name) -> Option<StreamId> {
        self.by_host.get(host).filter(|session| !session.elsewhere).map(|session| session.stream.id)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.by_host.len()
    }

    /// The host's stream is another one from now on.
    fn replace(&mut self, host: &Name, stream: Stream) -> Vec<Do> {
        let Some(session) = self.by_host.get_mut(host) else { return Vec::new() };
        let (id, was_broken) = (stream.id, session.broken.take());
        let old = std::mem::replace(&mut session.stream, stream);
        if session.elsewhere {
            return vec![Do::Close { stream: old.id }];
        }
        let mut todo = vec![Do::Register { host: host.clone(), session: id }];
        match was_broken {
            Some(_) => todo.push(Do::Suspect { host: host.clone(), is: false }),
            None => todo.push(Do::Close { stream: old.id }),
        }
        todo
    }

    fn end(&mut self, host: &Name, goodbye: bool) -> Vec<Do> {
        let Some(session) = self.by_host.remove(host) else { return Vec::new() };
        let ended = Do::End { host: host.clone(), session: session.stream.id, goodbye };
        // Whoever else calls itself the same is all that is left of it.
        let Some((next, others)) = session.others() else { return vec![ended] };
        let id = next.id;
        let session = Session::new(next, others);
        let told = session.twins_of(host);
        self.by_host.insert(host.clone(), session);
        vec![ended, Do::Register { host: host.clone(), session: id }, told]
    }

    /// The stream that counts here is over, and another replica has the host.
    fn leave(&mut self, host: &Name) -> Vec<Do> {
        let Some(session) = self.by_host.remove(host) else { return Vec::new() };
        let Some((next, others)) = session.others() else {
            return vec![Do::Left { host: host.clone() }];
        };
        let session = Session { elsewhere: true, ..Session::new(next, others) };
        let told = session.twins_of(host);
        self.by_host.insert(host.clone(), session);
        vec![told]
    }
}

impl Session {
    fn new(stream: Stream, twins: Vec<Stream>) -> Self {
        Self { stream, broken: None, elsewhere: false, twins, waiting: None }
    }

    /// All but the stream that counts: the next that does, and the rest.
    fn others(self) -> Option<(Stream, Vec<Stream>)> {
        let mut others = self.twins;
        others.extend(self.waiting.map(|(stream, _)| stream));
        let next = others.pop()?;
        Some((next, others))
    }

    /// One of those that do not count is gone.
    fn forget(&mut self, host: &Name, id: StreamId) -> Vec<Do> {
        if self.waiting.as_ref().is_some_and(|(stream, _)| stream.id == id) {
            self.waiting = None;
        }
        let before = self.twins.len();
        self.twins.retain(|twin| twin.id != id);
        if self.twins.len() == before { Vec::new() } else { vec![self.twins_of(host)] }
    }

    /// All instances but the one that is the host.
    fn twins_of(&self, host: &Name) -> Do {
        let here = self.elsewhere.then_some(&self.stream);
        let instances = here.into_iter().chain(&self.twins);
        let instances = instances.map(|twin| twin.instance.clone()).collect();
        Do::Twins { host: host.clone(), instances }
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
