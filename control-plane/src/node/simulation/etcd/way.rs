//! The way of one replica to etcd. Whatever is under way goes on when nobody waits for it any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::model::Model;
use super::watching::Watch;
use crate::clock;
use crate::fleet::leases::LeaseId;
use crate::store::StoreError;
use crate::store::etcd::{Done, Etcd, Page, Range, Txn, Watching};

/// For so long etcd holds what it cannot decide.
const HELD: Duration = Duration::from_secs(7);
/// Of what it gave up, half is decided all the same, within so long.
const LATE: Duration = Duration::from_secs(30);
/// What is made twice is made again within so long.
const TWICE: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(100);

/// What the way is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Weather {
    /// Of a request, and of an answer, to be lost.
    pub(in super::super) loss: f64,
    /// Of a request to be made once more.
    pub(in super::super) twice: f64,
    /// Each way, at most.
    pub(in super::super) delay: Duration,
}

impl Weather {
    pub(in super::super) const FAIR: Self =
        Self { loss: 0.0, twice: 0.0, delay: Duration::from_millis(10) };
    pub(in super::super) const CUT: Self = Self { loss: 1.0, ..Self::FAIR };

    pub(super) fn is_cut(self) -> bool {
        self.loss >= 1.0
    }
}

/// From one start of a replica to its end.
pub(in super::super) struct Way {
    pub(super) model: Arc<Mutex<Model>>,
    pub(super) weather: Arc<Mutex<Weather>>,
    pub(super) random: Mutex<Rng>,
}

/// What becomes of one request.
struct Trip {
    there: Duration,
    back: Duration,
    arrives: bool,
    returns: bool,
    again: Option<Duration>,
    /// It is decided after it was given up.
    is_late: bool,
}

pub(super) fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Way {
    pub(in super::super) fn new(
        model: Arc<Mutex<Model>>,
        weather: Arc<Mutex<Weather>>,
        random: Rng,
    ) -> Self {
        Self { model, weather, random: Mutex::new(random) }
    }

    fn trip(&self) -> Trip {
        let (weather, mut random) = (*lock(&self.weather), lock(&self.random));
        let mut part = |most: Duration| most.mul_f64(random.f64());
        let (there, back) = (part(weather.delay), part(weather.delay));
        let later = part(TWICE);
        Trip {
            there,
            back,
            arrives: random.f64() >= weather.loss,
            returns: random.f64() >= weather.loss,
            again: (random.f64() < weather.twice).then_some(later),
            is_late: random.bool(),
        }
    }

    /// Nothing is heard of what is lost, for as long as one waits.
    async fn ask<T: Send + 'static>(
        &self,
        decide: impl Fn(&mut Model) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (trip, model) = (self.trip(), Arc::clone(&self.model));
        let (say, said) = oneshot::channel();
        tokio::spawn(async move {
            sleep(trip.there).await;
            if !trip.arrives {
                return;
            }
            let mut say = Some(say);
            let came = Instant::now();
            while !lock(&model).has_quorum() {
                if came.elapsed() >= HELD {
                    let error = Status::unavailable("etcdserver: request timed out");
                    if let Some(say) = say.take() {
                        drop(say.send(Err(error.into())));
                    }
                    if !trip.is_late || came.elapsed() >= LATE {
                        return;
                    }
                }
                sleep(LOOK).await;
            }
            let decided = {
                let mut model = lock(&model);
                model.is_held(came.elapsed() > Duration::ZERO);
                let decided = decide(&mut model);
                model.is_held(false);
                decided
            };
            sleep(trip.back).await;
            if trip.returns
                && let Some(say) = say
            {
                // Who asked may have given up.
                drop(say.send(decided));
            }
            if let Some(again) = trip.again {
                sleep(again).await;
                let mut model = lock(&model);
                if model.has_quorum() {
                    drop(decide(&mut model));
                }
            }
        });
        match said.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl Etcd for Way {
    async fn grant(&self, ttl_seconds: i64) -> Result<LeaseId, StoreError> {
        self.ask(move |model| Ok(model.grant(ttl_seconds, clock::millis()))).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.ask(move |model| {
            model.revoke(lease);
            Ok(())
        })
        .await
    }

    async fn renew(&self, leases: Vec<LeaseId>) -> Result<Vec<LeaseId>, StoreError> {
        self.ask(move |model| Ok(model.renew(&leases, clock::millis()))).await
    }

    async fn txn(&self, txn: Txn) -> Result<Done, StoreError> {
        self.ask(move |model| model.txn(&txn)).await
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.ask(move |model| Ok(model.range(&range))).await
    }

    async fn watch(&self, prefix: &str, from: i64) -> Result<Box<dyn Watching>, StoreError> {
        assert!(prefix.starts_with("/wanglou/"), "nobody else has keys here");
        let (age, now) = self.ask(|model| Ok((model.age(), model.revision()))).await?;
        let random = lock(&self.random).fork();
        let watch = Watch::new(&self.model, &self.weather, random, age, from, now);
        Ok(Box::new(watch))
    }
}
