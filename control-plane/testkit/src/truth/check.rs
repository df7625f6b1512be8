//! The comparison.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Event, Truth};

/// What the control plane says of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there: alive, or stopped by order.
    There,
    /// Its stream broke a moment ago.
    Suspect,
    /// Whoever would know is gone.
    Unknown,
    /// It is dead.
    Lost,
    /// It said goodbye.
    Gone,
    /// It is not in the list.
    Absent,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When it was heard: `CLOCK_MONOTONIC`, ns.
    pub at: u64,
    /// Of whom.
    pub host: String,
    /// What.
    pub state: State,
}

/// How late the truth may be.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// For what has just changed to be heard: who came back so shortly before may still be called lost.
    pub lag: Duration,
    /// From death or goodbye until nobody says any more that it is there.
    pub death: Duration,
    /// From its welcome until it is said to be there.
    pub arrival: Duration,
}

/// What kind of untruth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A host was called lost, or gone, that was neither.
    FalseLoss,
    /// A dead host was said to be there for longer than allowed, or again.
    AliveTooLong,
    /// A host was there, and was not said to be in time.
    Missed,
}

/// One untruth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub kind: Kind,
    /// When it became one: `CLOCK_MONOTONIC`, ns.
    pub at: u64,
    /// Of whom.
    pub host: String,
    /// What was said.
    pub said: State,
}

/// All untruths, by kind and host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// How many there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.0.iter().filter(|it| it.kind == kind).count()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lost, alive, missed] =
            [Kind::FalseLoss, Kind::AliveTooLong, Kind::Missed].map(|kind| self.count(kind));
        write!(f, "{lost} false losses, {alive} alive too long, {missed} missed")?;
        for Finding { kind, at, host, said } in self.0.iter().take(10) {
            write!(f, "\n{kind:?}: {host} was said to be {said:?} at {at}")?;
        }
        Ok(())
    }
}

/// Compares until `end`, when watching ended; observations of a host are in the order of time.
pub fn check(truth: &Truth, said: &[Observation], end: u64, allowed: Allowed) -> Findings {
    let mut by_host: BTreeMap<&str, Vec<(u64, State)>> = BTreeMap::new();
    for it in said {
        by_host.entry(&it.host).or_default().push((it.at, it.state));
    }
    let mut findings = Vec::new();
    for (host, events) in truth.hosts() {
        let said = by_host.remove(host).unwrap_or_default();
        for span in spans(events, end) {
            let mut found = |kind, at, said| {
                findings.push(Finding { kind, at, host: host.to_owned(), said });
            };
            if span.lives {
                living(&span, &said, allowed, &mut found);
            } else {
                dead(&span, &said, allowed, &mut found);
            }
        }
    }
    // Of a host that never was, nothing is true.
    for (host, said) in by_host {
        for (at, state) in said.into_iter().filter(|(_, state)| *state == State::There) {
            let (kind, host) = (Kind::AliveTooLong, host.to_owned());
            findings.push(Finding { kind, at, host, said: state });
        }
    }
    findings.sort_by(|a, b| (a.kind, &a.host, a.at).cmp(&(b.kind, &b.host, b.at)));
    Findings(findings)
}

/// A time in which a host lived, from its first welcome on, or did not.
struct Span {
    from: u64,
    to: u64,
    lives: bool,
    /// Times of it in which its stream was open.
    connected: Vec<(u64, u64)>,
}

/// Broken streams do not end a life, and from death on a host is dead until it is welcomed again.
fn spans(events: &[(u64, Event)], end: u64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (at, event) in events.iter().filter(|(at, _)| *at <= end) {
        let at = *at;
        let lives = spans.last().is_some_and(|it| it.lives);
        match event {
            Event::Welcomed { .. } | Event::Back { connected: true } => {
                if !lives {
                    begin(&mut spans, at, true);
                }
                if let Some(span) = spans.last_mut() {
                    disconnect(span, at);
                    span.connected.push((at, u64::MAX));
                }
            }
            Event::Cut | Event::Silent | Event::Goodbye if lives => begin(&mut spans, at, false),
            Event::Broken => {
                if let Some(span) = spans.last_mut() {
                    disconnect(span, at);
                }
            }
            _ => {}
        }
    }
    if let Some(span) = spans.last_mut() {
        span.to = end;
        disconnect(span, end);
    }
    spans
}

fn begin(spans: &mut Vec<Span>, at: u64, lives: bool) {
    if let Some(last) = spans.last_mut() {
        last.to = at;
        disconnect(last, at);
    }
    spans.push(Span { from: at, to: u64::MAX, lives, connected: Vec::new() });
}

fn disconnect(span: &mut Span, at: u64) {
    if let Some(open) = span.connected.last_mut().filter(|it| it.1 == u64::MAX) {
        open.1 = at;
    }
}

/// What holds at a moment.
fn at_time(said: &[(u64, State)], at: u64) -> State {
    let before = said.partition_point(|(when, _)| *when <= at);
    before.checked_sub(1).map_or(State::Absent, |n| said[n].1)
}

/// What was said within a time.
fn within(said: &[(u64, State)], from: u64, to: u64) -> &[(u64, State)] {
    let first = said.partition_point(|(when, _)| *when < from);
    let last = said.partition_point(|(when, _)| *when < to).max(first);
    &said[first..last]
}

fn living(
    span: &Span,
    said: &[(u64, State)],
    allowed: Allowed,
    found: &mut impl FnMut(Kind, u64, State),
) {
    let from = span.from.saturating_add(nanoseconds(allowed.lag));
    for &(at, state) in within(said, from, span.to) {
        if matches!(state, State::Lost | State::Gone) {
            found(Kind::FalseLoss, at, state);
        }
    }
    for &(open, closed) in &span.connected {
        let due = open.saturating_add(nanoseconds(allowed.arrival));
        if due >= closed {
            continue;
        }
        let state = at_time(said, due);
        if state != State::There {
            found(Kind::Missed, due, state);
        }
    }
}

fn dead(
    span: &Span,
    said: &[(u64, State)],
    allowed: Allowed,
    found: &mut impl FnMut(Kind, u64, State),
) {
    let due = span.from.saturating_add(nanoseconds(allowed.death));
    // Others may know of its return before its welcome has come to it.
    let to = span.to.saturating_sub(nanoseconds(allowed.lag));
    if due >= to {
        return;
    }
    if at_time(said, due) == State::There {
        found(Kind::AliveTooLong, due, State::There);
    }
    for &(at, state) in within(said, due + 1, to) {
        if state == State::There {
            found(Kind::AliveTooLong, at, state);
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
