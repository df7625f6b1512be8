//! A replica, and a host and an operator of it that behave while others do not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use wanglou_api::fleet::v1::StopHostsRequest;
use wanglou_api::fleet::v1::host::State;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::{Operator, becomes, stays};
use wanglou_fleet_testkit::{Host, Pki, Raw, Replica, Scene};

/// One after the other: each takes all that it can get of the machine.
static TURN: Mutex<()> = Mutex::const_new(());
/// A second, and as much again for a machine that is busy with the attack.
const STOP: Duration = Duration::from_secs(2);
/// Bytes that a replica may grow by.
const GROWTH: u64 = 48 << 20;
const SOON: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) operator: Operator,
    pub(crate) replica: Replica,
    web: Host,
    resident: u64,
    counted: BTreeMap<String, f64>,
    scene: Scene,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) async fn new() -> Result<Self> {
        Self::with(&[]).await
    }

    /// One whose replica has settings of its own.
    pub(crate) async fn with(settings: &[(&str, Value)]) -> Result<Self> {
        let turn = TURN.lock().await;
        let scene = Scene::one().await?;
        let replica = scene.replica("one", settings).await?;
        let mut operator = operator(scene.pki(), &replica.address()).await?;
        let web = Host::connect(scene.pki(), &replica.address(), "web", "a").await?;
        becomes(&mut operator, "web", State::Alive, SOON).await?;
        let (resident, counted) = (replica.usage()?.resident, replica.metrics().await?);
        Ok(Self { operator, replica, web, resident, counted, scene, _turn: turn })
    }

    pub(crate) fn pki(&self) -> &Pki {
        self.scene.pki()
    }

    pub(crate) fn address(&self) -> String {
        self.replica.address()
    }

    pub(crate) fn raw(&self, id: &str) -> Result<Raw> {
        Raw::new(self.pki(), &self.address(), id)
    }

    /// The host that behaves lives and hears a stop, and the replica is as large as it was.
    pub(crate) async fn goes_on(&mut self) -> Result<()> {
        stays(&mut self.operator, "web", &[State::Alive], Duration::from_millis(500)).await?;
        let start = Instant::now();
        let all = StopHostsRequest { all: true, ..StopHostsRequest::default() };
        self.operator.stop_hosts(all).await?;
        self.web.order().await?;
        let (took, resident) = (start.elapsed(), self.replica.usage()?.resident);
        let grown = resident.saturating_sub(self.resident);
        println!("a stop took {took:?}; the replica has grown by {} KiB", grown >> 10);
        ensure!(took < STOP, "a stop took {took:?}");
        ensure!(grown < GROWTH, "it has grown from {} to {resident} bytes", self.resident);
        Ok(())
    }

    /// How many connections or streams have come to this end since the beginning.
    pub(crate) async fn counted(&self, what: &str, outcome: &str) -> Result<u64> {
        let name = format!("wanglou_control_plane_{what}_total{{outcome=\"{outcome}\"}}");
        let of = |metrics: &BTreeMap<String, f64>| metrics.get(&name).copied().unwrap_or(-1.0);
        let now = of(&self.replica.metrics().await?);
        ensure!(now >= 0.0, "there is no {name}");
        Ok((now - of(&self.counted)) as u64)
    }

    /// Waits until there are so many.
    pub(crate) async fn counts(&self, what: &str, outcome: &str, wanted: u64) -> Result<()> {
        let start = Instant::now();
        loop {
            let counted = self.counted(what, outcome).await?;
            if counted == wanted {
                return Ok(());
            }
            ensure!(start.elapsed() < SOON, "{what} {outcome}: {counted}, and not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
