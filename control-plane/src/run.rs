//! A replica's life: who it is, what it remembers, what it serves, and how it goes.

mod drain;
mod keys;
mod lake;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use wanglou_api::dial::Dialer;
use wanglou_api::identity::Role;
use wanglou_api::tls::{self, Credentials};
use wanglou_daemon::cli::Layered;
use wanglou_daemon::config::{self, Effective};
use wanglou_daemon::service::{Told, Word, reread};
use wanglou_daemon::telemetry;

use crate::config::Config;
use crate::counters::Counters;
use crate::journal::Journal;
use crate::log::ids;
use crate::node::{self, Settings};
use crate::peers::Peers;
use crate::server::{self, Door, Limits};
use crate::store::presence::{self, Stage};
use crate::store::{Store, members};
use crate::telemetry::Replica;

/// At the end, time for etcd.
const GOODBYE: Duration = Duration::from_secs(3);

/// Serves until told to end.
pub(crate) async fn serve(layered: &Layered<Config>, effective: Effective<Config>) -> Result<()> {
    let config = effective.config.clone();
    let control = &config.control;
    let credentials = Credentials::read(&control.certificate, &control.key, &control.authorities)?;
    let us = credentials.identity().clone();
    ensure!(us.role == Role::Replica, "{us} is no replica: see control.certificate");
    let tls = tls::server(&credentials, &us.fleet, &Role::ALL).context("cannot begin with TLS")?;
    let settings = Settings {
        signer: keys::signer(&config.fleet)?,
        keys: keys::believed(&config.fleet)?,
        fleet: us.fleet.clone(),
        replica: us.id.clone(),
        hosts_per_lease: config.fleet.hosts_per_lease,
        lease_ttl: config.fleet.lease,
        heartbeat: config.fleet.heartbeat,
        connection_age: config.fleet.connection_age,
        journal: Journal::open(&config.state_directory).with_context(|| {
            format!(
                "cannot keep orders in {}: see replica.state_directory",
                config.state_directory.display()
            )
        })?,
    };
    let mut told = Told::new(layered.layers().file_or_usual::<Config>())?;
    let store = Store::open(&config.etcd, &us.fleet, us.id.clone()).await?;
    let listener = TcpListener::bind(&control.listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen at {}: see control.listen", control.listen))?;
    let address = listener.local_addr().context("there is no local address")?;
    ensure!(
        !(address.ip().is_unspecified() && control.addresses.is_empty()),
        "nobody can be told to come to {address}: set control.addresses to where this replica is found"
    );

    let counters = Arc::new(Counters::default());
    let (handles, mut working) = node::start(settings, store.clone(), &counters);
    let (node, view) = (handles.node.clone(), Arc::clone(&handles.view));
    let dialer = Dialer::new(&credentials).context("cannot begin with TLS")?;
    let others = Peers::new(us.id.clone(), dialer, &handles, &config.peers);
    let keeper = Arc::default();
    let ingests = lake::begin(&config, &store, &handles, us.id.as_str(), &keeper, &counters);
    let subject = Replica {
        settings: config.telemetry.clone(),
        id: us.id.to_string(),
        began: Instant::now(),
        view: Arc::clone(&view),
        counters: Arc::clone(&counters),
        keeper: Arc::clone(&keeper),
        ingests: ingests.clone(),
    };
    // Who cannot be asked how it is serves all the same.
    let _telemetry = telemetry::serve(subject)
        .await
        .inspect_err(|error| tracing::error!(id = ids::TELEMETRY_OFF.code, "{error}"));
    let addresses = match &control.addresses[..] {
        [] => vec![address.to_string()],
        some => some.to_vec(),
    };
    tokio::spawn(members::follow(store.clone()));
    let (stage, until) = watch::channel(Stage::Serving);
    let presence = presence::keep(store.clone(), addresses, config.fleet.lease, until);
    let presence = tokio::spawn(presence);
    let limits = Limits {
        connections: control.connections,
        handshakes_per_second: control.handshakes_per_second,
    };
    let door = Door { listener, tls: Arc::new(tls), limits };
    let serving = server::serve(door, handles, store, others, ingests, counters);
    tracing::info!(id = ids::SERVING.code, "{us} serves at {address}");
    told.notify.ready("serving");
    let ending = async {
        until_told(&mut told, layered, effective).await;
        tracing::info!(id = ids::DRAINING.code, "told to end: hosts are sent to other replicas");
        stage.send_replace(Stage::Draining);
        told.meanwhile(drain::drain(&us.id, &node, &view)).await;
    };
    tokio::select! {
        served = serving => served?,
        _ = &mut working => bail!("the node has ended: this is a fault, and the messages before say which"),
        () = ending => {}
    }
    stage.send_replace(Stage::Gone);
    // etcd may not answer.
    let _ = timeout(GOODBYE, presence).await;
    Ok(())
}

/// Takes other settings meanwhile, as far as they count at once.
async fn until_told(told: &mut Told, layered: &Layered<Config>, mut effective: Effective<Config>) {
    let began_with = effective.config.clone();
    loop {
        match told.next().await {
            Word::End => break,
            Word::Tick => wanglou_daemon::log::tick(),
            Word::Reload | Word::Changed => {
                let Some(new) = reread::<Config>(&layered.layers(), |_| Ok(())) else { continue };
                for change in config::changes(&effective.config, &new.config, &began_with) {
                    tracing::info!(id = ids::SETTINGS_CHANGED.code, "settings: {change}");
                }
                wanglou_daemon::log::configure(&new.config.log);
                effective = new;
            }
        }
    }
    told.notify.stopping();
}
