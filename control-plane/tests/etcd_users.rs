//! etcd that lets in only who has a certificate and a role: what `init-etcd` gives a replica is enough for all that it does,
//! and for nothing else.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use serde_json::json;
use tokio::time::sleep;
use wanglou_api::fleet::v1::StopHostsRequest;
use wanglou_api::fleet::v1::host::State;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::becomes;
use wanglou_fleet_testkit::pki::Files;
use wanglou_fleet_testkit::{Etcd, Fleet, Host, bins};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_may_do_all_that_it_does_and_no_more() -> Result<()> {
    let etcd = Etcd::with_tls().await?;
    let fleet = Fleet::new("blue")?;
    for _ in 0..2 {
        init(&etcd, &etcd.certificate_of("root")?)?;
    }
    let files = etcd.certificate_of("wanglou")?;
    let members = etcd.endpoints();
    let replica = fleet.replica("one", &members, |settings| {
        settings
            .set("etcd.certificate", json!(files.certificate))
            .set("etcd.key", json!(files.key))
            .set("etcd.authorities", json!(files.authorities));
    });
    let replica = replica.await?;
    let mut operator = operator(&fleet.pki, &replica.address()).await?;
    let web = Host::connect(&fleet.pki, &replica.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    written(&etcd, "/wanglou/blue/v1/live/web").await?;
    let all = StopHostsRequest { all: true, ..StopHostsRequest::default() };
    operator.stop_hosts(all).await?;
    drop(web);
    becomes(&mut operator, "web", State::Lost, SOON).await?;
    for kind in ["end/web", "host/web", "replica/one", "stop/", "task/compact"] {
        written(&etcd, &format!("/wanglou/blue/v1/{kind}")).await?;
    }
    let answers = replica.metrics().await?["wanglou_control_plane_etcd_answers"];
    ensure!(answers == 1.0, "the replica says that etcd does not answer");

    let mut client = client(&etcd, &files).await?;
    for other in ["/wanglou/green/v1/host/web", "/wanglou/blue/v1/else", "/registry"] {
        let written = client.put(other, "", None).await;
        ensure!(written.is_err(), "it may write {other}");
    }
    ensure!(client.get("/wanglou/green/v1/host/web", None).await.is_err(), "it reads another's");
    Ok(())
}

fn init(etcd: &Etcd, root: &Files) -> Result<()> {
    let mut init = Command::new(bins::control_plane()?);
    init.args(["init-etcd", "--fleet=blue", "--user=wanglou", "--enable-auth"]);
    init.args(etcd.endpoints().iter().flat_map(|endpoint| ["--endpoint", endpoint]));
    let file = |name: &str, path: &Path| format!("--{name}={}", path.display());
    init.arg(file("certificate", &root.certificate)).arg(file("key", &root.key));
    let output = init.arg(file("authorities", &root.authorities)).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn client(etcd: &Etcd, files: &Files) -> Result<Client> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{}", path.display()));
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(read(&files.authorities)?))
        .identity(Identity::from_pem(read(&files.certificate)?, read(&files.key)?));
    Ok(Client::connect(etcd.endpoints(), Some(ConnectOptions::new().with_tls(tls))).await?)
}

async fn written(etcd: &Etcd, prefix: &str) -> Result<()> {
    let started = Instant::now();
    while etcd.keys(prefix).await?.is_empty() {
        ensure!(started.elapsed() < SOON, "nobody has written {prefix}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
