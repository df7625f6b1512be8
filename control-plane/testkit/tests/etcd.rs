//! Whether the etcd of the tests does to members what tests want of it.

use anyhow::Result;
use wanglou_fleet_testkit::Etcd;
use wanglou_fleet_testkit::etcd::Options;

#[tokio::test]
async fn one_member_keeps_its_keys_over_a_power_failure() -> Result<()> {
    let mut etcd = Etcd::one().await?;
    let lease = etcd.client().await?.lease_grant(60, None).await?.id();
    let options = etcd_client::PutOptions::new().with_lease(lease);
    etcd.client().await?.put("/a/1", "one", Some(options)).await?;
    etcd.member(0).kill()?;
    assert!(etcd.keys("/a/").await.is_err(), "nobody is there");
    etcd.restart(0).await?;
    let keys = etcd.keys("/a/").await?;
    assert_eq!((keys["/a/1"].text.as_str(), keys["/a/1"].lease), ("one", lease));
    // Behind the back of whoever thinks that it has a lease.
    etcd.client().await?.lease_revoke(lease).await?;
    assert!(etcd.keys("/a/").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn three_members_go_on_without_their_leader() -> Result<()> {
    let mut etcd = Etcd::three().await?;
    let first = etcd.leader().await?;
    etcd.member(first).kill()?;
    let second = etcd.leader().await?;
    assert_ne!(first, second);
    etcd.client_of(second).await?.put("/a", "1", None).await?;
    etcd.restart(first).await?;
    // One that hangs is not there either.
    let leader = etcd.leader().await?;
    etcd.member(leader).stop()?;
    let next = etcd.leader().await?;
    assert_ne!(leader, next);
    etcd.client_of(next).await?.put("/b", "2", None).await?;
    etcd.member(leader).resume()?;
    etcd.ready().await?;
    Ok(())
}

#[tokio::test]
async fn members_come_and_go() -> Result<()> {
    let mut etcd = Etcd::one().await?;
    let new = etcd.join().await?;
    etcd.client_of(new).await?.put("/a", "1", None).await?;
    etcd.leave(0).await?;
    assert_eq!(etcd.leader().await?, new);
    assert_eq!(etcd.client_of(new).await?.get("/a", None).await?.count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_full_one_takes_no_writes_until_there_is_space() -> Result<()> {
    let options = Options { quota_bytes: Some(16 << 20), ..Options::default() };
    let etcd = Etcd::start(options).await?;
    etcd.fill().await?;
    let mut client = etcd.client().await?;
    assert!(client.put("/a", "1", None).await.is_err(), "it is full");
    assert!(client.get("/a", None).await.is_ok(), "and answers");
    etcd.free().await?;
    client.put("/a", "1", None).await?;
    Ok(())
}

#[tokio::test]
async fn over_tls_a_user_may_what_its_role_allows() -> Result<()> {
    use etcd_client::{Certificate, Client, ConnectOptions, Identity, Permission, TlsOptions};

    let etcd = Etcd::with_tls().await?;
    let mut root = etcd.client().await?;
    root.user_add("root", "unused", None).await?;
    root.role_add("root").await?;
    root.user_grant_role("root", "root").await?;
    root.user_add("reader", "unused", None).await?;
    root.role_add("reads").await?;
    root.role_grant_permission("reads", Permission::read("/a")).await?;
    root.user_grant_role("reader", "reads").await?;
    root.auth_enable().await?;
    root.put("/a", "1", None).await?;

    let files = etcd.certificate_of("reader")?;
    let (certificate, key) = (std::fs::read(&files.certificate)?, std::fs::read(&files.key)?);
    let authorities = std::fs::read(&files.authorities)?;
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(&authorities))
        .identity(Identity::from_pem(&certificate, &key));
    let mut reader =
        Client::connect(etcd.endpoints(), Some(ConnectOptions::new().with_tls(tls))).await?;
    assert_eq!(reader.get("/a", None).await?.count(), 1);
    assert!(reader.put("/a", "2", None).await.is_err(), "it may only read");

    let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(&authorities));
    let nobody = Client::connect(etcd.endpoints(), Some(ConnectOptions::new().with_tls(tls)));
    let nobody = match nobody.await {
        Ok(mut client) => client.get("/a", None).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(nobody.is_err(), "who has no certificate is nobody");
    Ok(())
}
