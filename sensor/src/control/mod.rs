//! The sensor as one of a fleet: a stream to one of the control plane's replicas, by which it says how it is and
//! hears what to do. Whatever goes wrong here, the sensor goes on with its configuration.
//!
//! ```text
//! link       from one stream to the next         dial      a stream, from its endpoint to its welcome
//! talk       what is said on it                  session   when
//! memory     what the fleet said last
//! orders     which order stands                  keys      whose orders count
//! commands   which have been seen                store     what outlives the service
//! backoff    when to try again                   endpoint, random, settings
//! ```
//!
//! What decides - `session`, `orders`, `commands`, `backoff`, `memory` - does no I/O.

mod backoff;
mod commands;
mod dial;
mod endpoint;
mod keys;
mod link;
mod memory;
mod orders;
mod random;
mod session;
mod settings;
mod store;
mod talk;

use std::fmt;
use std::future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use endpoint::{Endpoint, EndpointError, MAX_ENDPOINTS};
pub use settings::Settings;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wanglou_api::order::v1::SignedOrder;
pub use wanglou_api::sensor::v1::Command;
use wanglou_api::sensor::v1::CommandResult;
pub use wanglou_api::sensor::v1::command::Action;
use wanglou_api::sensor::v1::goodbye::Reason;
pub use wanglou_api::sensor::v1::order_receipt::Refusal;

use crate::config::Config;
use crate::log::ids;
use crate::telemetry::State;
use crate::uplink::Keeping;
use link::{Ends, Link, Shared};
use orders::Orders;
use store::Kept;

/// Commands that wait for the supervisor, and answers that wait for the link.
const WAITING: usize = 16;
/// The end of the service is not put off for longer by a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the supervisor is asked for.
#[derive(Debug)]
pub enum Asked {
    /// Another order stands: see [`Control::stopped`].
    Order,
    /// To do something once.
    Command(Command),
}

/// The fleet, as the supervisor has it. Nothing here waits for the network, but for [`Control::end`].
pub struct Control {
    settings: Settings,
    folder: PathBuf,
    keeping: Option<Keeping>,
    shared: Shared,
    ordered: (watch::Sender<()>, watch::Receiver<()>),
    commands: (mpsc::Sender<Command>, mpsc::Receiver<Command>),
    news: watch::Sender<()>,
    link: Option<Running>,
}

/// A link that is at work.
struct Running {
    task: JoinHandle<()>,
    end: oneshot::Sender<Reason>,
    answers: mpsc::Sender<CommandResult>,
}

impl Control {
    /// Recalls the order that was obeyed last, and looks for the fleet if there is one, which gets what somebody is
    /// keeping for it; needs an event loop.
    pub fn new(config: &Config, state: &State, keeping: Option<Keeping>) -> Self {
        let (settings, folder) = (config.control.clone(), config.state_directory.clone());
        let orders = recall(&settings, &folder);
        state.link(|link| link.epoch = orders.epoch());
        let mut control = Self {
            settings,
            folder,
            keeping,
            shared: Shared::new(orders, state),
            ordered: watch::channel(()),
            commands: mpsc::channel(WAITING),
            news: watch::channel(()).0,
            link: None,
        };
        control.begin();
        control
    }

    /// Goes by other settings from now on. An order stands whatever they are.
    pub fn configure(&mut self, config: &Config, keeping: Option<&Keeping>) {
        self.keeping = keeping.cloned();
        if config.control == self.settings && config.state_directory == self.folder {
            return;
        }
        let moves = config.state_directory != self.folder;
        self.settings.clone_from(&config.control);
        self.folder.clone_from(&config.state_directory);
        if let Some(link) = self.link.take() {
            // It says goodbye while the next one begins; one that has ended needs no word.
            let _ = link.end.send(Reason::Moves);
        }
        if moves {
            self.shared.orders().forget_kept();
        }
        self.begin();
    }

    /// Waits for the next. Whoever does not wait to the end misses nothing.
    pub async fn asked(&mut self) -> Asked {
        tokio::select! {
            Ok(()) = self.ordered.1.changed() => Asked::Order,
            Some(command) = self.commands.1.recv() => Asked::Command(command),
            // Both last as long as this does.
            else => future::pending().await,
        }
    }

    /// Why nobody is to work, if so.
    pub fn stopped(&self) -> Option<String> {
        self.shared.orders().stopped()
    }

    /// Nobody works any more, and no probe is there; or somebody does.
    pub fn done(&self, is_stopped: bool) {
        if self.shared.orders().done(is_stopped) {
            self.tell();
        }
    }

    /// The host is otherwise than it was: a heartbeat says so at once.
    pub fn tell(&self) {
        self.news.send_replace(());
    }

    /// What came of a command.
    pub fn answer(&self, command_id: String, done: Result<(), String>) {
        let error = done.err().unwrap_or_default();
        if let Some(link) = &self.link {
            // There is room for as many as can be asked for; one that has ended tells nobody.
            let _ = link.answers.try_send(CommandResult { command_id, error });
        }
    }

    /// Says goodbye.
    pub async fn end(&mut self, is_shutdown: bool) {
        let Some(link) = self.link.take() else { return };
        let reason = if is_shutdown { Reason::Shutdown } else { Reason::Ended };
        // One that has ended by itself has nothing to say.
        let _ = link.end.send(reason);
        let _ = timeout(GOODBYE, link.task).await;
    }

    fn begin(&mut self) {
        let is_joined = self.settings.is_joined();
        self.shared.state.link(|link| link.is_joined = is_joined);
        if !is_joined {
            return;
        }
        let (answers, answered) = mpsc::channel(WAITING);
        let ends = Ends {
            ordered: self.ordered.0.clone(),
            news: self.news.subscribe(),
            commands: self.commands.0.clone(),
            answers: answered,
        };
        let (end, ended) = oneshot::channel();
        let (settings, folder) = (self.settings.clone(), self.folder.clone());
        let keeping = self.keeping.clone();
        let link = Link::new(settings, folder, self.shared.clone(), ends, keeping);
        self.link = Some(Running { task: tokio::spawn(link.run(ended)), end, answers });
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({:?})", self.settings.endpoints)
    }
}

/// The order that was kept. Where that cannot be known it may have been a stop, and a damaged disk must not undo one.
fn recall(settings: &Settings, folder: &std::path::Path) -> Orders {
    let path = Kept::Order.path(folder);
    let orders = match Kept::Order.read::<SignedOrder>(folder) {
        Ok(signed) => Orders::recall(signed, &keys::read(settings, &mut |_| ())),
        // Somebody who stands alone and may not look is not the service that was stopped.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !settings.is_joined() => {
            Orders::default()
        }
        Err(error) => Orders::damaged(error.to_string()),
    };
    if let Some(why) = orders.damage() {
        tracing::error!(
            id = ids::ORDER_UNREADABLE.code,
            "{}: {why}: the sensor stays stopped until it is started by an order, or the file is removed and the service restarted",
            path.display()
        );
    }
    orders
}
