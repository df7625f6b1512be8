use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

use super::*;
use crate::test_pki::Pki;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn fleet() -> Name {
    "blue".parse().expect("a name")
}

/// A clock that somebody else has set.
#[derive(Debug)]
struct Clock(rustls::pki_types::UnixTime);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(self.0)
    }
}

fn in_1970() -> Arc<Clock> {
    Arc::new(Clock(rustls::pki_types::UnixTime::since_unix_epoch(DAY)))
}

/// Lets both sides talk until they are done; what either does not like.
fn handshake(client: ClientConfig, server: ServerConfig) -> Result<(), Error> {
    let name = ServerName::try_from("192.0.2.1").expect("an address");
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    Ok(())
}

fn pass<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).expect("memory takes everything");
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("memory gives everything");
        to.process_new_packets()?;
    }
    Ok(())
}

fn of(pki: &Pki, uri: &str) -> Credentials {
    Credentials::of(pki.issue(uri), pki.root.clone())
}

fn caller(credentials: &Credentials) -> ClientConfig {
    client(credentials, &fleet(), Sight::OwnClock).expect("a configuration")
}

fn replica(pki: &Pki) -> ServerConfig {
    let credentials = of(pki, "spiffe://blue/replica/one");
    server(&credentials, &fleet(), &[Role::Host]).expect("a configuration")
}

#[test]
fn a_host_and_a_replica_of_the_fleet_talk() {
    let pki = Pki::new("blue");
    handshake(caller(&of(&pki, "spiffe://blue/host/a")), replica(&pki)).expect("they talk");
}

#[test]
fn others_are_refused_and_told_why() {
    let pki = Pki::new("blue");
    let other = Pki::new("red");
    for (credentials, why) in [
        (of(&pki, "spiffe://blue/operator/a"), "it is for host"),
        (of(&pki, "spiffe://red/host/a"), "is not of the fleet blue"),
        (
            Credentials::of(other.issue("spiffe://blue/host/a"), pki.root.clone()),
            "no authority that is trusted",
        ),
    ] {
        let error = handshake(caller(&credentials), replica(&pki)).expect_err(why);
        assert!(super::why(&error).contains(why), "{error}");
    }
    // A host that listens is no replica.
    let thief = of(&pki, "spiffe://blue/host/b");
    let thief = server(&thief, &fleet(), &[Role::Host]).expect("a configuration");
    let error = handshake(caller(&of(&pki, "spiffe://blue/host/a")), thief).expect_err("a thief");
    assert!(why(&error).contains("it is for replica"), "{error}");
}

#[test]
fn a_certificate_for_clients_only_serves_no_replica() {
    let pki = Pki::new("blue");
    let issued = pki.issue_with(&["spiffe://blue/replica/one"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let credentials = Credentials::of(issued, pki.root.clone());
    let server = server(&credentials, &fleet(), &[Role::Host]).expect("a configuration");
    assert!(handshake(caller(&of(&pki, "spiffe://blue/host/a")), server).is_err());
}

#[test]
fn what_has_expired_is_refused() {
    let pki = Pki::new("blue");
    let issued = pki.issue_with(&["spiffe://blue/host/a"], |params| {
        params.not_after = (SystemTime::now() - DAY).into();
    });
    let old = Credentials::of(issued, pki.root.clone());
    let error = handshake(caller(&old), replica(&pki)).expect_err("it has expired");
    assert!(why(&error).contains("expired"), "{error}");
}

#[test]
fn a_host_that_lives_in_1970_is_within_reach_and_trusts_no_others() {
    let pki = Pki::new("blue");
    let host = |pki: &Pki, root: &Pki, sight| {
        let credentials = Credentials::of(pki.issue_now("spiffe://blue/host/a"), root.root.clone());
        let mut config = client(&credentials, &fleet(), sight).expect("a configuration");
        config.time_provider = in_1970();
        config
    };
    let may_be_wrong = host(&pki, &pki, Sight::ClockMayBeWrong);
    handshake(may_be_wrong, replica_of_today(&pki)).expect("they talk");
    assert!(handshake(host(&pki, &pki, Sight::OwnClock), replica_of_today(&pki)).is_err());
    let others = Pki::new("blue");
    assert!(
        handshake(host(&pki, &pki, Sight::ClockMayBeWrong), replica_of_today(&others)).is_err()
    );
}

fn replica_of_today(pki: &Pki) -> ServerConfig {
    let issued = pki.issue_now("spiffe://blue/replica/one");
    let credentials = Credentials::of(issued, pki.root.clone());
    server(&credentials, &fleet(), &[Role::Host]).expect("a configuration")
}
