//! What is told of changes: in order, some of it in parts, and nothing at all when the way is cut.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use tonic::Status;

use super::model::{Lie, Model};
use super::way::{Weather, lock};
use crate::store::StoreError;
use crate::store::etcd::{News, Watching};

/// From one look at what has happened to the next.
const LOOK: Duration = Duration::from_millis(150);
/// Revisions that are told at once, at most.
const MOST: usize = 5;

pub(super) struct Watch {
    model: Arc<Mutex<Model>>,
    weather: Arc<Mutex<Weather>>,
    random: Rng,
    age: u64,
    /// The first revision that has not been told.
    next: i64,
    is_created: bool,
    is_asked: bool,
    /// The rest of one revision.
    rest: Option<News>,
}

impl Watch {
    pub(super) fn new(
        model: &Arc<Mutex<Model>>,
        weather: &Arc<Mutex<Weather>>,
        random: Rng,
        age: u64,
        from: i64,
        now: i64,
    ) -> Self {
        let forgets = lock(model).lie == Some(Lie::ForgetsChanges);
        Self {
            model: Arc::clone(model),
            weather: Arc::clone(weather),
            random,
            age,
            next: if forgets { now + 1 } else { from },
            is_created: false,
            is_asked: false,
            rest: None,
        }
    }

    /// What there is to tell now.
    fn tell(&mut self) -> Result<Option<News>, StoreError> {
        if lock(&self.weather).is_cut() {
            return Ok(None);
        }
        let model = lock(&self.model);
        if model.age() != self.age {
            return Err(Status::unavailable("etcdserver: no leader").into());
        }
        if !std::mem::replace(&mut self.is_created, true) {
            return Ok(Some(News::Created));
        }
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        if self.next <= model.compacted() {
            return Ok(Some(News::Compacted));
        }
        let most = if self.random.bool() { 1 } else { MOST };
        let mut events = model.since(self.next, most);
        if let Some(last) = events.last() {
            self.next = last.revision + 1;
            let last = events.iter().filter(|event| event.revision + 1 == self.next).count();
            let fragment = last > 1 && self.random.u8(..4) == 0;
            if fragment {
                let rest = events.split_off(events.len() - last / 2);
                self.rest = Some(News::Events { events: rest, fragment: false });
            }
            return Ok(Some(News::Events { events, fragment }));
        }
        let asked = std::mem::take(&mut self.is_asked) && model.has_quorum();
        Ok(asked.then(|| News::Progress(model.revision())))
    }
}

#[tonic::async_trait]
impl Watching for Watch {
    async fn next(&mut self) -> Result<Option<News>, StoreError> {
        loop {
            let delay = lock(&self.weather).delay.mul_f64(self.random.f64());
            sleep(LOOK + delay).await;
            if let Some(news) = self.tell()? {
                return Ok(Some(news));
            }
        }
    }

    async fn ask_progress(&mut self) -> Result<(), StoreError> {
        self.is_asked = true;
        Ok(())
    }
}
