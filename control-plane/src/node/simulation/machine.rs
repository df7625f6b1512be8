//! A machine with a sensor: it comes, says how it is, and goes, in all the ways in which machines go.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until};
use wanglou_api::identity::Name;
use wanglou_api::sensor::v1::control_request::Message;
use wanglou_api::sensor::v1::control_response::Message as Said;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::{Goodbye, Heartbeat, Hello};

use super::link::{LOOK, Link, Stream, Wire, late, patience};
use super::truth;
use super::world::World;
use crate::node::Event;

/// From one thing that happens to a machine to the next, at most.
const HAPPENS: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Pause before another attempt.
const RETRY: Duration = Duration::from_millis(500);
const HANDSHAKE: Duration = Duration::from_millis(100);
/// After a call that nobody answers.
const CALL: Duration = Duration::from_secs(2);
/// For how long a host is away that comes back soon, one that does not, and one of which nobody knows any more, at most.
const SOON: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(150);
/// Of a host that is on its way to another replica.
const MOVES: Duration = Duration::from_secs(8);

pub(super) struct Machine {
    pub(super) world: Arc<World>,
    /// Which host, and which of its machines.
    pub(super) host: usize,
    pub(super) number: usize,
    pub(super) name: Name,
    pub(super) random: Rng,
}

/// The stream that it has.
struct To<'s> {
    at: &'s Name,
    wire: &'s Wire,
    say: &'s Sender<Message>,
}

/// How a stream is over.
enum Over {
    /// It is to come again after so long.
    Again(Duration),
    /// The sensor has ended, and begins again after so long.
    Ended(Duration),
}

impl Machine {
    pub(super) async fn live(mut self) {
        let first = self.part(Duration::from_secs(10));
        sleep(first).await;
        let mut starts = 0;
        loop {
            starts += 1;
            let instance = format!("{}-{}", ["a", "b"][self.number], starts);
            self.note(&format!("{instance} starts"));
            let pause = self.run(&instance).await;
            if self.world.is_quiet() && self.random.bool() {
                self.note("ends for good");
                return;
            }
            sleep(pause).await;
            if self.world.is_late() {
                self.note("does not begin again");
                return;
            }
        }
    }

    /// From a start to its end; the pause until the next.
    async fn run(&mut self, instance: &str) -> Duration {
        let mut flaps = 0;
        loop {
            let Some((replica, stream)) = self.call(instance).await else { continue };
            let over = self.stay(instance, replica, stream, &mut flaps).await;
            self.truth(truth::Machine::left);
            match over {
                Over::Again(pause) => sleep(pause).await,
                Over::Ended(pause) => return pause,
            }
        }
    }

    async fn call(&mut self, instance: &str) -> Option<(usize, Stream)> {
        let which = self.random.usize(..self.world.replicas.len());
        let replica = Arc::clone(&self.world.replicas[which]);
        let pause = self.part(HANDSHAKE);
        sleep(pause).await;
        if !replica.is_awake() {
            sleep(CALL).await;
            return None;
        }
        if self.random.u8(..40) == 0 && !self.world.is_quiet() {
            let delay = Duration::from_secs(2) + self.part(Duration::from_secs(18));
            self.note(&format!("{instance} is turned away by {} for {delay:?}", replica.name));
            replica.tell(Event::TurnedAway { host: self.name.clone(), delay });
            sleep(delay).await;
            return None;
        }
        let hello = Hello { instance_id: instance.to_owned(), ..Hello::default() };
        let stream = replica.open(&self.name, hello, &self.world.streams);
        if stream.is_none() {
            let pause = self.part(RETRY);
            sleep(pause).await;
        }
        Some((which, stream?))
    }

    async fn stay(
        &mut self,
        instance: &str,
        replica: usize,
        stream: Stream,
        flaps: &mut u32,
    ) -> Over {
        let Stream { wire, say, mut heard } = stream;
        let at = self.world.replicas[replica].name.clone();
        let mut happens = Instant::now() + self.part(HAPPENS);
        if *flaps > 0 {
            *flaps -= 1;
            happens = Instant::now() + self.part(RETRY * 2);
        }
        let mut heartbeat = Instant::now() + HEARTBEAT;
        // When both directions work again; and since when they have not.
        let mut stalls_until: Option<Instant> = None;
        let mut silent: Option<(Instant, Duration)> = None;
        loop {
            let now = Instant::now();
            let works = wire.is() == Link::Open && self.world.replicas[replica].is_awake();
            tokio::select! {
                biased;
                said = heard.recv(), if works => {
                    late(&mut self.random).await;
                    let Some(Ok(said)) = said else {
                        self.note(&format!("{instance}'s stream is closed by {at}"));
                        wire.set(Link::Broken);
                        return Over::Again(self.part(RETRY));
                    };
                    match said.message {
                        Some(Said::Welcome(_)) if wire.is() == Link::Open => {
                            self.note(&format!("{instance} is welcomed by {at}"));
                            self.truth(|it| it.welcomed(replica, &wire));
                        }
                        Some(Said::Probe(_)) => self.say(&say, heart()),
                        _ => {}
                    }
                }
                () = sleep_until(if works { heartbeat.min(happens) } else { now + LOOK }.min(now + LOOK)) => {}
            }
            let now = Instant::now();
            if stalls_until.is_some_and(|until| now >= until) {
                stalls_until = None;
                wire.set(Link::Open);
                self.note(&format!("{instance} is heard again"));
            }
            if self.world.replicas[replica].is_dark() {
                self.note(&format!("{instance} loses its power with {at}"));
                wire.set(Link::Stalled);
                return Over::Ended(self.part(LONG));
            }
            match (wire.is(), self.world.replicas[replica].is_awake()) {
                (Link::Broken, _) => {
                    self.note(&format!("{instance}'s stream to {at} breaks"));
                    return Over::Again(self.part(RETRY));
                }
                (Link::Open, true) => silent = None,
                _ => {
                    let patience = &mut self.random;
                    let (since, patience) =
                        silent.get_or_insert_with(|| (now, self::patience(patience)));
                    if since.elapsed() >= *patience {
                        self.note(&format!("{instance} gives up its stream to {at}"));
                        return Over::Again(self.part(RETRY));
                    }
                    continue;
                }
            }
            if now >= heartbeat {
                self.say(&say, heart());
                heartbeat = now + HEARTBEAT;
            }
            if now >= happens {
                happens = now + self.part(HAPPENS);
                if self.world.is_quiet() {
                    continue;
                }
                let (to, stalls) = (To { at: &at, wire: &wire, say: &say }, &mut stalls_until);
                if let Some(over) = self.happen(instance, &to, flaps, stalls) {
                    return over;
                }
            }
        }
    }

    /// Something that happens to machines and their streams; how the stream is over, if it is.
    fn happen(
        &mut self,
        instance: &str,
        to: &To<'_>,
        flaps: &mut u32,
        stalls_until: &mut Option<Instant>,
    ) -> Option<Over> {
        let most = if self.random.u8(..4) == 0 { LONG } else { LATER };
        let (soon, later) = (self.part(SOON), self.part(most));
        let To { at, wire, say } = to;
        let (what, link, over) = match self.random.u8(..10) {
            0 | 1 => (format!("breaks its stream to {at}"), Link::Broken, Over::Again(soon)),
            2 => (format!("loses its network for {later:?}"), Link::Broken, Over::Again(later)),
            3 => {
                self.note(&format!("{instance} is not heard for {later:?}"));
                wire.set(Link::Stalled);
                *stalls_until = Some(Instant::now() + later);
                return None;
            }
            4 => (format!("is killed, for {later:?}"), Link::Broken, Over::Ended(later)),
            5 => (format!("loses its power, for {later:?}"), Link::Stalled, Over::Ended(later)),
            6 => {
                self.truth(|it| it.said_goodbye = true);
                self.say(say, goodbye(Reason::Ended));
                (format!("says goodbye, for {later:?}"), Link::Open, Over::Ended(later))
            }
            7 => {
                self.say(say, goodbye(Reason::Moves));
                let over = Over::Again(self.part(MOVES));
                (format!("moves away from {at}"), Link::Open, over)
            }
            8 => {
                let over = Over::Again(self.part(RETRY));
                (format!("leaves a stream to {at} that is not closed"), Link::Stalled, over)
            }
            _ => {
                *flaps = self.random.u32(2..8);
                ("flaps".to_owned(), Link::Broken, Over::Again(self.part(RETRY)))
            }
        };
        self.note(&format!("{instance} {what}"));
        wire.set(link);
        Some(over)
    }

    /// A replica that takes nothing is left when its silence is seen.
    fn say(&self, to: &Sender<Message>, message: Message) {
        if to.try_send(message).is_err() {
            self.note("says what nobody takes");
        }
    }

    fn part(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.random.f64())
    }

    fn note(&self, what: &str) {
        self.world.trace.note(Some(&self.name), what.to_owned());
    }

    fn truth(&self, change: impl FnOnce(&mut truth::Machine)) {
        change(&mut super::lock(&self.world.hosts)[self.host].machines[self.number]);
    }
}

fn heart() -> Message {
    Message::Heartbeat(Heartbeat::default())
}

fn goodbye(reason: Reason) -> Message {
    Message::Goodbye(Goodbye { reason: reason.into() })
}
