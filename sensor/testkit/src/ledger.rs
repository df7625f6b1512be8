//! Checks the sensor's books against what really came out.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::event::{action, field, is_metric, number};

/// Events by action.
pub type Counts = BTreeMap<String, u64>;

/// The books of one run, fed line by line, then closed.
#[derive(Debug, Default)]
pub struct Audit {
    lines: u64,
    /// Events seen, by action, without ledger and gap.
    pub seen: Counts,
    /// The last ledger's `produced`.
    pub produced: Counts,
    /// The last ledger's `dropped`, by cause and action.
    pub dropped: BTreeMap<String, Counts>,
    /// How many ledgers there were.
    pub ledgers: u64,
    /// The gap events.
    pub gaps: Vec<Value>,
    in_flight: Option<u64>,
    delivered: Counts,
    last_was_ledger: bool,
}

impl Audit {
    /// The next line of the output.
    pub fn line(&mut self, event: &Value) -> Result<()> {
        self.lines += 1;
        let sequence = number(event, "event.sequence")
            .with_context(|| format!("line {} has no event.sequence", self.lines))?;
        ensure!(
            sequence == self.lines,
            "event.sequence is {sequence} on line {}: not dense from 1",
            self.lines
        );
        self.last_was_ledger = action(event) == "ledger";
        if self.last_was_ledger {
            self.read_ledger(event)?;
        } else if action(event) == "gap" {
            self.gaps.push(event.clone());
        }
        if !is_metric(event) {
            *self.seen.entry(action(event).to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// After the last line: that must have been a ledger, with nothing under way, and its figures
    /// those of the lines, action by action.
    pub fn close(&mut self) -> Result<()> {
        ensure!(self.last_was_ledger, "the last of {} lines is not a ledger", self.lines);
        ensure!(self.in_flight == Some(0), "the last ledger has {:?} in flight", self.in_flight);
        ensure!(
            without_zeroes(&self.delivered) == without_zeroes(&self.seen),
            "delivered by the ledger: {:?}; lines seen: {:?}",
            self.delivered,
            self.seen
        );
        for (kind, &produced) in &self.produced {
            let delivered = self.delivered.get(kind).copied().unwrap_or_default();
            let dropped = self.dropped_of(kind);
            ensure!(
                produced == delivered + dropped,
                "{kind}: produced {produced}, delivered {delivered}, dropped {dropped}"
            );
        }
        let known = |kind: &String| self.produced.contains_key(kind);
        ensure!(self.seen.keys().all(known), "delivered but not produced: {:?}", self.seen);
        Ok(())
    }

    /// Losses of one action, whatever the cause.
    pub fn dropped_of(&self, kind: &str) -> u64 {
        self.dropped.values().filter_map(|actions| actions.get(kind)).sum()
    }

    /// Losses of one action by one cause.
    pub fn dropped_by(&self, cause: &str, action: &str) -> u64 {
        self.dropped.get(cause).and_then(|by_action| by_action.get(action)).copied().unwrap_or(0)
    }

    /// All losses.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().map(total).sum()
    }

    fn read_ledger(&mut self, event: &Value) -> Result<()> {
        self.ledgers += 1;
        self.produced = counts(field(event, "wanglou.ledger.produced"))?;
        self.delivered = counts(field(event, "wanglou.ledger.delivered"))?;
        self.dropped = match field(event, "wanglou.ledger.dropped") {
            None => BTreeMap::new(),
            Some(causes) => by_cause(causes)?,
        };
        self.in_flight = number(event, "wanglou.ledger.in_flight");
        let in_flight = self.in_flight.context("a ledger has no in_flight")?;
        let (produced, delivered) = (total(&self.produced), total(&self.delivered));
        ensure!(
            produced == delivered + self.dropped_total() + in_flight,
            "ledger {}: produced {produced}, delivered {delivered}, dropped {}, in flight \
             {in_flight}",
            self.ledgers,
            self.dropped_total()
        );
        Ok(())
    }
}

/// `{action: n}`, absent meaning none.
pub fn counts(value: Option<&Value>) -> Result<Counts> {
    let Some(value) = value else { return Ok(Counts::new()) };
    let object = value.as_object().context("not an object of counts")?;
    let count = |(kind, n): (&String, &Value)| {
        Ok((kind.clone(), n.as_u64().with_context(|| format!("{kind} is {n}, not a count"))?))
    };
    object.iter().map(count).collect()
}

/// `{cause: {action: n}}`.
pub fn by_cause(value: &Value) -> Result<BTreeMap<String, Counts>> {
    let object = value.as_object().context("not an object of causes")?;
    object.iter().map(|(cause, actions)| Ok((cause.clone(), counts(Some(actions))?))).collect()
}

/// The sum over all actions.
pub fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

fn without_zeroes(counts: &Counts) -> Counts {
    counts.iter().filter(|&(_, &n)| n > 0).map(|(kind, &n)| (kind.clone(), n)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(sequence: u64) -> Value {
        json!({"event": {"action": "fork", "sequence": sequence}})
    }

    fn ledger(sequence: u64, produced: u64, delivered: u64, dropped: u64, in_flight: u64) -> Value {
        json!({
            "event": {"action": "ledger", "sequence": sequence},
            "wanglou": {"ledger": {
                "produced": {"fork": produced}, "delivered": {"fork": delivered},
                "dropped": {"ring_full": {"fork": dropped}}, "in_flight": in_flight,
            }},
        })
    }

    fn audit(lines: &[Value]) -> Result<Audit> {
        let mut audit = Audit::default();
        lines.iter().try_for_each(|line| audit.line(line))?;
        audit.close().map(|()| audit)
    }

    #[test]
    fn good_books_pass() {
        let audit = audit(&[event(1), ledger(2, 3, 1, 1, 1), event(3), ledger(4, 4, 2, 2, 0)])
            .expect("balanced");
        assert_eq!((audit.dropped_of("fork"), audit.ledgers), (2, 2));
    }

    #[test]
    fn bad_books_fail() {
        assert!(audit(&[event(2)]).is_err(), "a hole in the sequence");
        assert!(audit(&[event(1), event(1)]).is_err(), "a number twice");
        assert!(audit(&[event(1)]).is_err(), "no ledger at the end");
        assert!(audit(&[event(1), ledger(2, 1, 0, 0, 1)]).is_err(), "something in flight");
        assert!(audit(&[event(1), ledger(2, 2, 2, 0, 0)]).is_err(), "delivered what nobody saw");
        assert!(audit(&[event(1), ledger(2, 3, 1, 1, 0)]).is_err(), "one unaccounted for");
    }
}
