//! Why what is shown of hosts may not be all there is to know.

use jiff::Timestamp;
use prost_types::Timestamp as Moment;

use crate::failure::one_line;
use crate::units;

/// What the replica that was asked did not know itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Caveats {
    /// Replicas that do not answer.
    pub(super) missing_replicas: Vec<String>,
    /// Since when etcd has not answered.
    pub(super) frozen_time: Option<Moment>,
}

impl Caveats {
    /// Without etcd, whatever else is known.
    pub(crate) fn frozen(since: Option<Moment>) -> Self {
        Self { missing_replicas: Vec::new(), frozen_time: since }
    }

    /// A line each.
    pub(crate) fn lines(&self, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(age) = units::age(self.frozen_time.as_ref(), now) {
            let age = units::span(age);
            lines.push(format!(
                "etcd has not answered for {age}: hosts of other replicas are shown as they were then"
            ));
        }
        if !self.missing_replicas.is_empty() {
            let missing = one_line(&self.missing_replicas.join(", "));
            lines.push(format!(
                "{missing}: no answer, so their hosts are as etcd has them, without what their sensors cost"
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_told() {
        let now = Timestamp::from_second(1_000).expect("a moment");
        let mut caveats = Caveats::frozen(Some(Moment { seconds: 940, nanos: 0 }));
        caveats.missing_replicas.push("replicas/two".to_owned());
        let lines = caveats.lines(now);
        assert!(lines[0].starts_with("etcd has not answered for 1m00s: "), "{lines:?}");
        assert!(lines[1].starts_with("replicas/two: no answer, "), "{lines:?}");
        assert!(Caveats::default().lines(now).is_empty());
    }
}
