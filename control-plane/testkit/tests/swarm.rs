//! Whether hosts by the hundred do what they are told, against a server that is as small as one can be.

mod server;

use std::time::Duration;

use anyhow::Result;
use server::Server;
use wanglou_api::signing::Signer;
use wanglou_fleet_testkit::swarm::{Behaviour, host_id};
use wanglou_fleet_testkit::truth::Event;
use wanglou_fleet_testkit::{Fleet, Swarm};

const PATIENCE: Duration = Duration::from_secs(120);
const HOSTS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_call_are_probed_and_stop() -> Result<()> {
    let fleet = Fleet::new("blue")?;
    let server = Server::start(&fleet).await?;
    let mut swarm = Swarm::start(&fleet, HOSTS, &[server.address()])?;
    swarm.behave(0..HOSTS, Behaviour::Well, 200)?;
    let many = HOSTS as u64;
    swarm.until(PATIENCE, |report| report.welcome == many).await?;
    eprintln!("{HOSTS} hosts cost {:?}", swarm.usage()?);

    server.probe();
    server.until(PATIENCE, |heard| heard.heartbeats >= many).await?;

    let signer = Signer::from_pem(&std::fs::read(&fleet.stop_key.private)?)?;
    server.stop(&signer, "blue", 7);
    server.until(PATIENCE, |heard| heard.received == many && heard.detached == many).await?;
    let report = swarm.report()?;
    assert_eq!((report.stopped, report.obeyed, report.failures), (many, many, 0), "{report:?}");

    // For another fleet, by nobody's key, and older than the last.
    server.stop(&signer, "red", 8);
    server.stop(&server::stranger()?, "blue", 9);
    server.stop(&signer, "blue", 6);
    server.until(PATIENCE, |heard| heard.refused == 3 * many).await?;

    let truth = swarm.truth()?;
    assert_eq!(truth.hosts().count(), HOSTS);
    assert_eq!(truth.arrivals(7).len(), HOSTS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_behave_as_they_are_told() -> Result<()> {
    let fleet = Fleet::new("blue")?;
    let server = Server::start(&fleet).await?;
    let mut swarm = Swarm::start_with(&fleet, 60, 25, &[server.address()], |_| ())?;
    swarm.behave(0..60, Behaviour::Well, 1_000)?;
    swarm.until(PATIENCE, |report| report.welcome == 60).await?;

    swarm.behave(0..10, Behaviour::Silent, 1_000)?;
    swarm.behave(10..20, Behaviour::Away, 1_000)?;
    swarm.behave(20..30, Behaviour::Goodbye, 1_000)?;
    swarm.behave(30..40, Behaviour::Flapping, 1_000)?;
    swarm.behave(40..50, Behaviour::Lying, 1_000)?;
    server.until(PATIENCE, |heard| heard.goodbyes == 10 && heard.hellos > 120).await?;
    let before = server.heard().heartbeats;
    server.probe();
    server.until(PATIENCE, |heard| heard.heartbeats > before).await?;
    let report = swarm.until(PATIENCE, |report| report.lies > 20).await?;
    assert!(report.welcome <= 40, "{report:?}");

    swarm.behave(0..10, Behaviour::Well, 1_000)?;
    swarm.behave(10..50, Behaviour::Well, 1_000)?;
    swarm.until(PATIENCE, |report| report.welcome == 60).await?;
    let truth = swarm.truth()?;
    let events = |number: usize| -> Vec<_> {
        let id = host_id(number);
        let found = truth.hosts().find(|(host, _)| *host == id);
        found
            .map(|(_, events)| events.iter().map(|(_, event)| event.clone()).collect())
            .unwrap_or_default()
    };
    let silent = events(0);
    assert!(silent.contains(&Event::Silent), "{silent:?}");
    assert!(silent.contains(&Event::Back { connected: true }), "{silent:?}");
    let away = events(10);
    assert!(
        matches!(
            away[..],
            [
                Event::Welcomed { .. },
                Event::Cut,
                Event::Back { connected: false },
                Event::Welcomed { .. }
            ]
        ),
        "{away:?}"
    );
    assert!(events(20).contains(&Event::Goodbye));
    assert!(events(30).iter().filter(|it| **it == Event::Broken).count() > 1);
    assert_eq!(events(55).len(), 1, "whoever is well stays");

    // With the ten of its process.
    swarm.kill(2)?;
    let report = swarm.until(PATIENCE, |report| report.welcome == 50).await?;
    assert!(report.welcomes >= 90, "{report:?}");
    let truth = swarm.truth()?;
    let cut =
        |(_, events): &(_, &[(u64, Event)])| events.last().is_some_and(|it| it.1 == Event::Cut);
    assert_eq!(truth.hosts().filter(cut).count(), 10);
    Ok(())
}
