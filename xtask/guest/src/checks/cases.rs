//! The testkit's cases of processes that sensors get wrong, one result each.

use std::time::Duration;

use anyhow::anyhow;
use wanglou_testkit::cases::{self, Verdict as Seen};

use crate::report::{Verdict, passed, tell};

/// Emulated, a reader of /proc that has just had 3,000 arguments is later than on any real machine.
const LINGER: Duration = Duration::from_millis(600);

pub(crate) fn run(backend: &str) {
    let group = format!("{backend}: difficult processes");
    match cases::run(backend, LINGER) {
        Ok(verdicts) => {
            for (name, seen) in verdicts {
                let verdict = match seen {
                    Seen::Passed => passed(),
                    Seen::Failed(why) => Err(anyhow!(why)),
                    Seen::Skipped(why) => Ok(Verdict::Absent(why)),
                };
                tell(&group, name, verdict);
            }
        }
        Err(error) => tell(&group, "", Err(error)),
    }
}
