//! What goes wrong, and when: by chance, and the same for the same seed.

use std::time::Duration;

use fastrand::Rng;

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The worker is killed; its supervisor starts another one.
    KillWorker,
    Break(Part),
    Mend(Part),
    /// Ended as its manager does, and begun again with the other version.
    Exchange(Part),
}

/// What breaks and stays broken until somebody mends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The service, killed, until it is started as its manager would.
    Supervisor,
    /// One of the replicas, killed.
    Replica(usize),
    Etcd,
    /// The disk of the lake, full.
    Sink,
    /// That of the spool.
    Spool,
}

/// Which part of the time each of these is away.
const AWAY: [(Part, f64); 3] = [(Part::Sink, 0.2), (Part::Etcd, 0.1), (Part::Spool, 0.1)];
/// How many are killed in a short time, and how rarely in a long one.
const KILLS: u32 = 15;
const SELDOM: Duration = Duration::from_secs(12);

/// How an operator upgrades, and takes it back: replicas one by one, then the sensor; the sensor, then replicas.
pub(crate) fn upgrade(between: Duration) -> Vec<(Duration, Act)> {
    use Part::{Replica, Supervisor};
    let parts = [Replica(0), Replica(1), Supervisor, Supervisor, Replica(1), Replica(0)];
    (1..).zip(parts).map(|(n, part)| (between * n, Act::Exchange(part))).collect()
}

/// All of it, in its order; well before the end nothing new breaks.
pub(crate) fn plan(random: &mut Rng, length: Duration) -> Vec<(Duration, Act)> {
    let mut plan = Vec::new();
    for (part, share) in AWAY {
        let from = length.mul_f64(0.1 + random.f64() * (0.8 - share));
        plan.push((from, Act::Break(part)));
        plan.push((from + length.mul_f64(share), Act::Mend(part)));
    }
    let mut first = [Act::KillWorker, Act::Break(Part::Supervisor), Act::Break(Part::Replica(0))];
    random.shuffle(&mut first);
    let mut first = first.into_iter();
    let between = (length / KILLS).min(SELDOM);
    let mut at = between;
    while at < length.mul_f64(0.92) {
        let act = first.next().unwrap_or_else(|| match random.u8(0..10) {
            0..4 => Act::KillWorker,
            4..7 => Act::Break(Part::Supervisor),
            _ => Act::Break(Part::Replica(random.usize(0..2))),
        });
        plan.push((at, act));
        if let Act::Break(part) = act {
            let away = if part == Part::Supervisor { 1.0 } else { 4.0 };
            plan.push((at + Duration::from_secs_f64(0.1 + away * random.f64()), Act::Mend(part)));
        }
        at += between.mul_f64(0.2 + 1.6 * random.f64());
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}
