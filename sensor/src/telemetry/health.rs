//! Whether all is well, for who restarts it and for who routes to it.

use std::time::Instant;

use wanglou_daemon::telemetry::Verdict;

use super::state::{Known, Phase};

/// Whether it does what it should: it works, gets ready, or rests on purpose.
pub(super) fn alive(known: &Known) -> Verdict {
    match &known.phase {
        Phase::Failed(_) => (false, ready(known).1),
        Phase::Working | Phase::Resting(_) | Phase::Stopped(_) => (true, ready(known).1),
    }
}

/// Whether events are told of.
pub(super) fn ready(known: &Known) -> Verdict {
    let seconds = |until: &Instant| until.saturating_duration_since(Instant::now()).as_secs_f64();
    let why = match &known.phase {
        Phase::Stopped(why) => why.clone(),
        Phase::Resting(until) => {
            format!("at rest: the breaker is open for another {:.1} s", seconds(until))
        }
        Phase::Failed(until) => {
            format!("the worker has failed: another one in {:.1} s", seconds(until))
        }
        Phase::Working if known.is_ready() => return (true, "ready\n".to_owned()),
        Phase::Working => "starting".to_owned(),
    };
    (false, why + "\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::books::Books;
    use crate::config::Effective;
    use crate::telemetry::State;

    #[test]
    fn a_rest_is_no_illness_and_a_failure_is() {
        let state = State::new(&Effective::default());
        let both = || {
            let known = state.lock();
            (alive(&known).0, ready(&known).0)
        };
        let begins = |is_ready| {
            let books = Books::new().expect("memory");
            books.page().ready.set(is_ready);
            let socket = rustix::stdio::stdin().try_clone_to_owned().expect("a descriptor");
            state.begins(1, books, socket);
        };
        assert_eq!(both(), (true, false), "starting");
        begins(0);
        assert_eq!(both(), (true, false), "starting");
        begins(1);
        assert_eq!(both(), (true, true), "ready");
        state.waits(Duration::from_secs(9));
        assert_eq!(both(), (false, false), "failed");
        assert!(ready(&state.lock()).1.starts_with("the worker has failed: another one in "));
        begins(1);
        state.trips();
        state.waits(Duration::from_secs(9));
        assert_eq!(both(), (true, false), "at rest");
        assert!(state.lock().rest() > Duration::from_secs(5));
        begins(1);
        state.recovers();
        assert_eq!(both(), (true, true), "recovered");
        state.stops("stopped by order 7 of ops: a fire".to_owned());
        assert_eq!(both(), (true, false), "stopped");
        assert_eq!(ready(&state.lock()).1, "stopped by order 7 of ops: a fire\n");
    }
}
