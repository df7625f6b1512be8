//! Which hosts are let in: each so often, and all together so many. Who is not is told when to come again, each at
//! another time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wanglou_api::identity::Name;

/// Streams that a host may open at once, and how long until there is one more.
const BURST: u32 = 10;
const EACH: Duration = Duration::from_secs(2);
/// Hosts that are remembered; those that have all their streams before them are forgotten first.
const REMEMBERED: usize = 200_000;
/// Between which times who is turned away is to come again.
const SOONEST: Duration = Duration::from_secs(2);
const LATEST: Duration = Duration::from_secs(20);

/// Who has come how often.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// When each would have come last, had it come every two seconds.
    hosts: Mutex<HashMap<Name, Instant>>,
}

impl Admission {
    /// Lets a host in, or says when it may come again.
    pub(super) fn admit(&self, host: &Name) -> Result<(), Later> {
        let now = Instant::now();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= REMEMBERED {
            hosts.retain(|_, last| *last > now);
        }
        let last = hosts.entry(host.clone()).or_insert(now);
        let next = (*last).max(now) + EACH;
        if next.saturating_duration_since(now) > EACH * BURST {
            return Err(Later::new(format!("{host} comes too often")));
        }
        *last = next;
        Ok(())
    }
}

/// Not now.
#[derive(Debug)]
pub(super) struct Later {
    /// When to come again.
    pub(super) delay: Duration,
    why: String,
}

impl Later {
    pub(super) fn new(why: String) -> Self {
        let mut random = [0; 2];
        // Without a random number all come at the same time once.
        let _ = rand::fill(&mut random);
        let part = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
        Self { delay: SOONEST + (LATEST - SOONEST).mul_f64(part), why }
    }
}

impl From<Later> for Status {
    fn from(Later { delay, why }: Later) -> Self {
        let details = ErrorDetails::with_retry_info(Some(delay));
        let message = format!("{why}: come again in {} s", delay.as_secs());
        Self::with_error_details(Code::ResourceExhausted, message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_too_often_is_told_when_to_come_again() {
        let admission = Admission::default();
        let (often, seldom) = ("often".parse().expect("a name"), "seldom".parse().expect("a name"));
        let admitted = (0..50).filter(|_| admission.admit(&often).is_ok()).count();
        assert_eq!(admitted, BURST as usize);
        assert!(admission.admit(&seldom).is_ok());
        let status = Status::from(admission.admit(&often).expect_err("it is turned away"));
        let delay =
            status.get_details_retry_info().and_then(|info| info.retry_delay).expect("a time");
        assert!((SOONEST..=LATEST).contains(&delay), "{delay:?}");
        tokio::time::sleep(EACH).await;
        assert!(admission.admit(&often).is_ok() && admission.admit(&often).is_err());
    }
}
