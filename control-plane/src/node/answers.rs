//! Whether etcd answers: until when it is known that other replicas could tell which hosts they have.
//!
//! A host that has left us may be with another replica, which says so by etcd. Where etcd does not answer, or has begun to a
//! moment ago, that nothing is heard of a host means nothing.

use crate::fleet::Millis;

/// From one question to the next.
const EVERY_MS: Millis = 1_000;
/// For another replica to have written what it could not write before: time for an answer that does not come, a pause,
/// and a look.
const OTHERS_MS: Millis = 7_000;

/// What is known of that.
#[derive(Debug, Default)]
pub(super) struct Answers {
    is_asking: bool,
    ask_at: Millis,
    /// Since when every question has been answered at once, and when the last of those was asked.
    answered: Option<(Millis, Millis)>,
}

impl Answers {
    /// Whether etcd is to be asked now; it is, if so. Somebody may be waiting for it.
    pub(super) fn ask(&mut self, is_waited_for: bool, now: Millis) -> bool {
        let ask = !self.is_asking && (is_waited_for || now >= self.ask_at);
        if ask {
            (self.is_asking, self.ask_at) = (true, now + EVERY_MS);
        }
        ask
    }

    /// It has answered at once, or has not, what it was asked at this time.
    pub(super) fn answered(&mut self, has: bool, asked: Millis) {
        self.is_asking = false;
        let since = self.answered.map_or(asked, |(since, _)| since);
        self.answered = has.then_some((since, asked));
    }

    /// Until when whatever other replicas had to say has been said; `None`: nobody knows.
    pub(super) fn until(&self) -> Option<Millis> {
        self.answered.filter(|(since, last)| *last >= since + OTHERS_MS).map(|(_, last)| last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_answered_for_long_enough_is_believed_up_to_the_last_answer() {
        let mut answers = Answers::default();
        for now in 0..7 {
            assert!(answers.ask(false, now * 1_000) && !answers.ask(true, now * 1_000));
            answers.answered(true, now * 1_000);
            assert_eq!(answers.until(), None);
        }
        assert!(!answers.ask(false, 6_500) && answers.ask(true, 7_000));
        answers.answered(true, 7_000);
        assert_eq!(answers.until(), Some(7_000));
        answers.answered(false, 8_000);
        answers.answered(true, 9_000);
        assert_eq!(answers.until(), None);
    }
}
