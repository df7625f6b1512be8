//! The link: finds a replica, says how the sensor is, hears what to do, and begins again. It has a task of its own, so that
//! nobody ever waits for it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use wanglou_api::identity::Role;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::{Command, CommandResult, Hello, Welcome};
use wanglou_api::tls::{self, Credentials, Sight};

use super::backoff::Backoff;
use super::commands::Commands;
use super::dial::{self, LinkError, Stream};
use super::endpoint::Endpoint;
use super::keys;
use super::memory::{Memory, next_of};
use super::orders::{Orders, Trust};
use super::random::random;
use super::settings::Settings;
use super::store::Kept;
use crate::clock;
use crate::host::Host;
use crate::log::ids;
use crate::telemetry::State;
use crate::uplink::Keeping;

/// For how long to wait where our own files are at fault.
const FAULT: Duration = Duration::from_secs(30);

/// What the link and the supervisor share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    orders: Arc<Mutex<Orders>>,
    /// Of this start of the service.
    pub(super) instance: String,
    pub(super) state: State,
}

impl Shared {
    pub(super) fn new(orders: Orders, state: &State) -> Self {
        let instance = format!("{:016x}", random());
        Self { orders: Arc::new(Mutex::new(orders)), instance, state: state.clone() }
    }

    pub(super) fn orders(&self) -> MutexGuard<'_, Orders> {
        // Nobody leaves them half changed.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the link hears of the supervisor, and where it tells it.
#[derive(Debug)]
pub(super) struct Ends {
    /// Another order stands.
    pub(super) ordered: watch::Sender<()>,
    /// It is done, or the host is otherwise than it was.
    pub(super) news: watch::Receiver<()>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) answers: mpsc::Receiver<CommandResult>,
}

/// What is being written, and whether it has been.
pub(super) type Writing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// All that goes on from one stream to the next.
pub(super) struct Link {
    settings: Settings,
    pub(super) folder: PathBuf,
    pub(super) shared: Shared,
    pub(super) ends: Ends,
    pub(super) memory: Memory,
    pub(super) seen: Commands,
    backoff: Backoff,
    pub(super) round: VecDeque<Endpoint>,
    /// What was left on purpose.
    left: Option<SocketAddr>,
    pub(super) writing: Option<(u64, Writing)>,
    /// Who keeps what the fleet is to have.
    pub(super) keeping: Option<Keeping>,
}

/// How a stream is over.
pub(super) enum Over {
    /// The service ends.
    Ended,
    /// It is time for another replica; whether the stream was worth its handshake.
    Moves(bool),
    /// It broke.
    Broken(LinkError, bool),
}

impl Link {
    pub(super) fn new(
        settings: Settings,
        folder: PathBuf,
        shared: Shared,
        ends: Ends,
        keeping: Option<Keeping>,
    ) -> Self {
        let memory = Memory::read(&folder).unwrap_or_else(|error| {
            not_kept(&Kept::Welcome.path(&folder).display(), &error);
            Memory::default()
        });
        Self {
            settings,
            folder,
            shared,
            ends,
            memory,
            seen: Commands::default(),
            backoff: Backoff::new(),
            round: VecDeque::new(),
            left: None,
            writing: None,
            keeping,
        }
    }

    /// Until somebody says why it ends, or is gone.
    pub(super) async fn run(mut self, mut end: oneshot::Receiver<Reason>) {
        loop {
            let opened = tokio::select! {
                biased;
                _ = &mut end => return,
                opened = self.open() => opened,
            };
            let pause = match opened {
                Ok(open) => {
                    let to = open.to;
                    match self.attend(open, &mut end).await {
                        Over::Ended => return,
                        Over::Moves(was_well) => {
                            self.round.clear();
                            self.left = Some(to);
                            let grace = self.memory.grace();
                            if was_well {
                                self.backoff.reset();
                                Backoff::between(grace, random())
                            } else {
                                // Whoever sends a host on at once may do so for ever.
                                self.backoff.next(grace, random())
                            }
                        }
                        Over::Broken(error, was_well) => {
                            if was_well {
                                self.backoff.reset();
                            }
                            self.pause(&format!("the stream to {to} is over"), &error)
                        }
                    }
                }
                Err((to, error)) => {
                    self.shared.state.link(|link| {
                        link.failures += 1;
                        link.has_spoken = true;
                    });
                    self.pause(&format!("no stream to {to}"), &error)
                }
            };
            tokio::select! {
                biased;
                _ = &mut end => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// For how long to wait now; says why.
    fn pause(&mut self, what: &str, error: &LinkError) -> Duration {
        let grace = self.memory.grace();
        match error {
            LinkError::Fault(_) => {
                tracing::error!(id = ids::LINK_FAULT.code, "the fleet is out of reach: {error}");
                return FAULT.min(grace / 2);
            }
            LinkError::Refused(_) => {
                tracing::warn!(id = ids::LINK_REFUSED.code, "{what}: {error}");
            }
            LinkError::Unreached(_) => {
                tracing::warn!(id = ids::LINK_DOWN.code, "{what}: {error}");
            }
            LinkError::Busy(told) => {
                tracing::warn!(id = ids::LINK_BUSY.code, "{what}: {error}");
                if let Some(told) = told {
                    return Backoff::told(*told, grace, random());
                }
            }
        }
        if self.round.is_empty() {
            self.backoff.next(grace, random())
        } else {
            Backoff::between(grace, random())
        }
    }

    /// Finds a replica. Files are read anew each time: certificates and keys are replaced while the service goes on.
    async fn open(&mut self) -> Result<Open, (String, LinkError)> {
        let ours = |error: String| ("the fleet".to_owned(), LinkError::Fault(error));
        let of = &self.settings;
        let credentials = Credentials::read(&of.certificate, &of.key, &of.authorities);
        let credentials = credentials.map_err(|error| ours(error.to_string()))?;
        let identity = credentials.identity().clone();
        if identity.role != Role::Host {
            return Err(ours(format!("{}: {identity} is no host", of.certificate.display())));
        }
        let keys = keys::read(of, &mut |fault| {
            tracing::error!(
                id = ids::LINK_FAULT.code,
                "orders signed by a key are refused: {fault}"
            );
        });
        let tls = tls::client(&credentials, &identity.fleet, Sight::ClockMayBeWrong);
        let tls = Arc::new(tls.map_err(|error| ours(error.to_string()))?);
        let trust = Trust { fleet: identity.fleet, host: identity.id, keys };

        if self.round.is_empty() {
            self.round = self.memory.round(&self.settings.endpoints, random);
        }
        let next = next_of(&mut self.round, &mut self.left);
        let to = match next.ok_or_else(|| ours("no endpoint is left".to_owned()))? {
            Endpoint::Address(address) => address,
            Endpoint::Name(name, port) => {
                let at = |error| (format!("{name}:{port}"), error);
                let found = dial::resolve(&name).await.map_err(at)?;
                let addresses = found.into_iter().map(|ip| Endpoint::Address((ip, port).into()));
                let known: Vec<_> = addresses.filter(|it| !self.round.contains(it)).collect();
                known.into_iter().rev().for_each(|it| self.round.push_front(it));
                match next_of(&mut self.round, &mut self.left) {
                    Some(Endpoint::Address(address)) => address,
                    // Its addresses are those of others, which have their turn.
                    other => {
                        other.into_iter().for_each(|it| self.round.push_front(it));
                        return Err(at(LinkError::Unreached(
                            "its name leads nowhere new".to_owned(),
                        )));
                    }
                }
            }
        };
        let hello = self.hello().map_err(ours)?;
        let dialled = dial::dial(to, tls, hello).await;
        let (stream, welcome) = dialled.map_err(|error| (to.to_string(), error))?;
        Ok(Open { to, stream, welcome, trust })
    }

    fn hello(&self) -> Result<Hello, String> {
        let host = Host::read(clock::boot_ns()).map_err(|error| error.to_string())?;
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().chars().take(64).collect();
        Ok(Hello {
            boot_id: host.boot_id,
            instance_id: self.shared.instance.clone(),
            run_id: self.shared.state.run(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: text(uname.nodename()),
            kernel_release: text(uname.release()),
            architecture: text(uname.machine()),
            capabilities: Vec::new(),
            configuration_hash: self.shared.state.configuration_hash(),
            last_order: self.shared.orders().signed().cloned(),
            local_time: Some(SystemTime::now().into()),
        })
    }
}

/// A stream on which nothing has been heard but the welcome.
pub(super) struct Open {
    pub(super) to: SocketAddr,
    pub(super) stream: Stream,
    pub(super) welcome: Welcome,
    pub(super) trust: Trust,
}

pub(super) fn not_kept(path: &dyn std::fmt::Display, error: &io::Error) {
    tracing::warn!(
        id = ids::WELCOME_NOT_KEPT.code,
        "{path}: {error}: what the fleet has said is not remembered"
    );
}
