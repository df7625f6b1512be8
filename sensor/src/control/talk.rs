//! One stream: what is said on it, and what is done about what is heard.

use std::future;
use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use wanglou_api::sensor::v1::control_request::Message as Say;
use wanglou_api::sensor::v1::control_response::Message as Heard;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::order_receipt::Refusal;
use wanglou_api::sensor::v1::{Command, CommandResult, Goodbye};

use super::commands::Seen;
use super::dial::{LinkError, Stream};
use super::link::{Link, Open, Over, Writing, not_kept};
use super::orders::{Trust, Verdict};
use super::random::random;
use super::session::{Due, Session, span};
use super::store::Kept;
use crate::image;
use crate::log::ids;

/// Time for the disk to take an order.
const DISK: Duration = Duration::from_secs(5);
/// Time for a replica to hear a goodbye.
const GOODBYE: Duration = Duration::from_millis(900);

impl Link {
    /// One stream, from its welcome to its end.
    pub(super) async fn attend(&mut self, open: Open, end: &mut oneshot::Receiver<Reason>) -> Over {
        let Open { to, mut stream, welcome, trust } = open;
        let (fleet, host, replica) = (&trust.fleet, &trust.host, welcome.replica_id.clone());
        tracing::info!(
            id = ids::LINK_UP.code,
            "host {host} of the fleet {fleet}: joined by the replica {replica} at {to}"
        );
        self.shared.state.link(|link| {
            link.replica = Some(replica);
            link.connects += 1;
        });
        let mut session = Session::begin(&welcome, Instant::now(), random());
        let news = self.memory.welcomed(welcome);
        self.keep_memory(news);
        // A handshake is code that is not needed again for long.
        image::give_back();
        // It is over with this one, however that ends.
        let telemetry =
            self.keeping.as_ref().map(|keeping| stream.publish(keeping, &self.shared.state));
        let over = self.converse(&mut stream, &mut session, &trust, end).await;
        self.shared.state.link(|link| link.replica = None);
        drop(telemetry);
        match over {
            Ok((reason, over)) => {
                // Who does not hear it finds out by itself.
                let _ = stream.say(Say::Goodbye(Goodbye { reason: reason.into() }));
                let _ = timeout(GOODBYE, stream.finish()).await;
                over
            }
            Err(error) => Over::Broken(error, session.was_well(Instant::now())),
        }
    }

    async fn converse(
        &mut self,
        stream: &mut Stream,
        session: &mut Session,
        trust: &Trust,
        end: &mut oneshot::Receiver<Reason>,
    ) -> Result<(Reason, Over), LinkError> {
        // How much of what there is to say of the standing order has been said here: nobody knows what became of that
        // which was said on another stream.
        let mut said = 0;
        loop {
            self.keep_order();
            let receipts = self.shared.orders().receipts();
            for receipt in receipts.iter().skip(said) {
                stream.say(Say::OrderReceipt(*receipt))?;
            }
            said = receipts.len();
            let now = Instant::now();
            let (listens, next) = (session.listens(now) && stream.has_room(), session.next(now));
            tokio::select! {
                biased;
                reason = &mut *end => {
                    return Ok((reason.unwrap_or(Reason::Ended), Over::Ended));
                }
                Ok(()) = self.ends.news.changed() => self.heartbeat(stream, session)?,
                Some(result) = self.ends.answers.recv() => {
                    self.seen.done(&result);
                    stream.say(Say::CommandResult(result))?;
                }
                (turn, written) = kept(&mut self.writing) => self.kept(turn, written),
                heard = stream.hear(), if listens => {
                    session.heard(Instant::now());
                    // What is of a later version of the protocol says nothing, and is counted all the same.
                    if let Some(heard) = heard?
                        && self.take(heard, stream, session, trust)?
                    {
                        said = 0;
                    }
                }
                () = sleep_until(next) => match session.due(Instant::now()) {
                    Some(Due::Heartbeat) => self.heartbeat(stream, session)?,
                    Some(Due::Leave) => {
                        let was_well = session.was_well(Instant::now());
                        return Ok((Reason::Moves, Over::Moves(was_well)));
                    }
                    None => {}
                },
            }
        }
    }

    /// Does what the replica says; `true` if all that there is to say of the standing order is to be said again.
    fn take(
        &mut self,
        heard: Heard,
        stream: &Stream,
        session: &mut Session,
        trust: &Trust,
    ) -> Result<bool, LinkError> {
        match heard {
            Heard::Order(signed) => {
                let verdict = self.shared.orders().judge(signed, trust, self.memory.labels());
                match verdict {
                    Verdict::Obey => self.obey(),
                    Verdict::Again => {}
                    Verdict::Refuse(receipt) => {
                        self.refuse(receipt.epoch, receipt.refusal());
                        stream.say(Say::OrderReceipt(receipt))?;
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            Heard::Command(command) => self.command(stream, command)?,
            Heard::Endpoints(endpoints) => {
                let news = self.memory.refreshed(endpoints);
                self.round.clear();
                self.keep_memory(news);
            }
            Heard::Drain(drain) => {
                let within = span(drain.within.as_ref()).unwrap_or_default();
                session.drain(within, Instant::now(), random());
            }
            Heard::Probe(_) => self.heartbeat(stream, session)?,
            // Something of what it said at first is otherwise now, such as what the host is called.
            Heard::Welcome(welcome) => {
                session.again(&welcome);
                let news = self.memory.welcomed(welcome);
                self.round.clear();
                self.keep_memory(news);
            }
        }
        Ok(false)
    }

    fn heartbeat(&self, stream: &Stream, session: &mut Session) -> Result<(), LinkError> {
        session.said_heartbeat(Instant::now());
        self.shared.state.link(|link| link.has_spoken = true);
        stream.say(Say::Heartbeat(self.shared.state.heartbeat()))
    }

    /// It counts from now on, whether or not the disk takes it.
    fn obey(&mut self) {
        let (epoch, stopped) = {
            let orders = self.shared.orders();
            (orders.epoch(), orders.stopped())
        };
        let what = stopped.unwrap_or_else(|| format!("started by order {epoch}"));
        tracing::info!(id = ids::ORDER_OBEYED.code, "{what}");
        self.shared.state.link(|link| link.epoch = epoch);
        self.ends.ordered.send_replace(());
    }

    fn refuse(&self, epoch: u64, refusal: Refusal) {
        let why = refusal.as_str_name().trim_start_matches("REFUSAL_").to_lowercase();
        tracing::warn!(id = ids::ORDER_REFUSED.code, "order {epoch} is not obeyed: {why}");
        self.shared.state.link(|link| link.refused[refusal as usize] += 1);
    }

    fn command(&mut self, stream: &Stream, command: Command) -> Result<(), LinkError> {
        match self.seen.take(&command.command_id) {
            Seen::Running => Ok(()),
            Seen::Done(result) => stream.say(Say::CommandResult(result)),
            Seen::Never => {
                let Err(refused) = self.ends.commands.try_send(command) else { return Ok(()) };
                let command_id = refused.into_inner().command_id;
                let error = "too many others are under way: try again".to_owned();
                let result = CommandResult { command_id, error };
                self.seen.done(&result);
                stream.say(Say::CommandResult(result))
            }
        }
    }

    /// Has the standing order written, unless it has been.
    fn keep_order(&mut self) {
        if self.writing.is_some() {
            return;
        }
        if let Some((turn, bytes)) = self.shared.orders().to_keep() {
            let written = Kept::Order.write_aside(&self.folder, bytes);
            let writing = async move {
                let late = || io::Error::other(format!("the disk has not taken it after {DISK:?}"));
                let none = || io::Error::other("no thread can be started");
                timeout(DISK, written).await.map_err(|_| late())?.map_err(|_| none())?
            };
            self.writing = Some((turn, Box::pin(writing)));
        }
    }

    fn kept(&mut self, turn: u64, written: io::Result<()>) {
        self.writing = None;
        self.shared.orders().kept(turn, written.is_ok());
        if let Err(error) = written {
            let path = Kept::Order.path(&self.folder);
            tracing::error!(
                id = ids::ORDER_NOT_KEPT.code,
                "{}: {error}: the order counts until the service ends",
                path.display()
            );
            self.shared.state.link(|link| link.refused[Refusal::NotKept as usize] += 1);
        }
    }

    fn keep_memory(&self, news: Option<Vec<u8>>) {
        let Some(bytes) = news else { return };
        let path = Kept::Welcome.path(&self.folder);
        let written = Kept::Welcome.write_aside(&self.folder, bytes);
        tokio::spawn(async move {
            if let Ok(Err(error)) = written.await {
                not_kept(&path.display(), &error);
            }
        });
    }
}

/// Waits for what is being written, if anything is.
async fn kept(writing: &mut Option<(u64, Writing)>) -> (u64, io::Result<()>) {
    match writing {
        Some((turn, written)) => (*turn, written.await),
        None => future::pending().await,
    }
}
