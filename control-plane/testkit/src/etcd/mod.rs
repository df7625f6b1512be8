//! A real etcd on loopback, whose members are killed, stopped and started again, and whose disk is full.

mod member;
mod space;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use etcd_client::{Certificate, Client, ConnectOptions, GetOptions, Identity, TlsOptions};
pub use member::Member;
use member::Plan;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::pki::{Files, Pki};

/// For members to find each other and answer. A machine that is busy with other tests is slow.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Time for one answer: one that stands still gives none.
const ANSWER: Duration = Duration::from_secs(2);

/// What is out of the ordinary about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many members there are.
    pub members: usize,
    /// Bytes of its database, from which on it is full; etcd's own default is 2 GiB.
    pub quota_bytes: Option<u64>,
    /// Clients come over TLS only, each with a certificate whose common name is a user of etcd.
    pub tls: bool,
    /// More arguments of `etcd`.
    pub arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { members: 1, quota_bytes: None, tls: false, arguments: Vec::new() }
    }
}

/// Some members that are one etcd, with a folder of their own; gone when this is dropped.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    options: Options,
    tls: Option<Tls>,
    /// After the members, which write to it.
    folder: TempDir,
}

#[derive(Debug)]
struct Tls {
    pki: Pki,
    server: Files,
}

/// A key, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it holds.
    pub text: String,
    /// The lease that it is on, or 0.
    pub lease: i64,
}

impl Etcd {
    /// One member.
    ///
    /// # Errors
    ///
    /// With its own log, if it does not begin to work.
    pub async fn one() -> Result<Self> {
        Self::start(Options::default()).await
    }

    /// Three members.
    ///
    /// # Errors
    ///
    /// With their own logs, if they do not begin to work.
    pub async fn three() -> Result<Self> {
        Self::start(Options { members: 3, ..Options::default() }).await
    }

    /// One member, over TLS. Users and roles are for whoever uses it to make.
    ///
    /// # Errors
    ///
    /// With its own log, if it does not begin to work.
    pub async fn with_tls() -> Result<Self> {
        Self::start(Options { tls: true, ..Options::default() }).await
    }

    /// Starts members and waits until they have a leader.
    ///
    /// # Errors
    ///
    /// With their own logs, if they do not begin to work.
    pub async fn start(options: Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("wanglou-etcd-").tempdir()?;
        let tls = if options.tls { Some(Tls::new(&folder)?) } else { None };
        let plans: Result<Vec<_>> =
            (0..options.members).map(|n| Plan::new(n, folder.path(), tls.is_some())).collect();
        let plans = plans?;
        let cluster = plans.iter().map(Plan::as_peer).collect::<Vec<_>>().join(",");
        let mut etcd = Self { members: Vec::new(), options, tls, folder };
        for plan in plans {
            let member = Member::start(plan, etcd.arguments(&cluster, "new"))?;
            etcd.members.push(member);
        }
        etcd.ready().await?;
        Ok(etcd)
    }

    fn arguments(&self, cluster: &str, state: &str) -> Vec<String> {
        let mut arguments = vec![
            "--logger=zap".to_owned(),
            // Members may come and go at once, and not only once they have known each other for a while.
            "--strict-reconfig-check=false".to_owned(),
            format!("--initial-cluster={cluster}"),
            format!("--initial-cluster-state={state}"),
        ];
        if let Some(bytes) = self.options.quota_bytes {
            arguments.push(format!("--quota-backend-bytes={bytes}"));
        }
        if let Some(tls) = &self.tls {
            arguments.push("--client-cert-auth".to_owned());
            for (name, path) in [
                ("cert", &tls.server.certificate),
                ("key", &tls.server.key),
                ("trusted-ca", &tls.server.authorities),
            ] {
                arguments.push(format!("--{name}-file={}", path.display()));
            }
        }
        arguments.extend(self.options.arguments.iter().cloned());
        arguments
    }

    /// Waits until all members that run know a leader.
    ///
    /// # Errors
    ///
    /// With the log of one that does not.
    pub async fn ready(&mut self) -> Result<()> {
        let started = Instant::now();
        for n in 0..self.members.len() {
            while self.members[n].is_meant_to_run()
                && self.status(n).await.is_none_or(|(_, it)| it == 0)
            {
                let member = &mut self.members[n];
                if !member.is_running() || started.elapsed() > PATIENCE {
                    bail!("member {n} of etcd does not work: {}", member.complaint());
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// The id of a member and of whom it takes for the leader, 0 for nobody; `None` if it does not answer.
    async fn status(&self, member: usize) -> Option<(u64, u64)> {
        let ask = async {
            let mut client = self.client_of(member).await?;
            let status = client.status().await?;
            anyhow::Ok((
                status.header().map_or(0, etcd_client::ResponseHeader::member_id),
                status.leader(),
            ))
        };
        tokio::time::timeout(ANSWER, ask).await.ok()?.ok()
    }

    /// The member that leads, once there is one.
    ///
    /// # Errors
    ///
    /// If there is none for too long.
    pub async fn leader(&self) -> Result<usize> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            for n in 0..self.members.len() {
                if self.members[n].is_meant_to_run()
                    && self.status(n).await.is_some_and(|(own, leader)| own == leader && own != 0)
                {
                    return Ok(n);
                }
            }
            sleep(POLL).await;
        }
        bail!("etcd has no leader for {PATIENCE:?}")
    }

    /// A member that does not lead.
    ///
    /// # Errors
    ///
    /// If there is no leader for too long, or nobody else.
    pub async fn follower(&self) -> Result<usize> {
        let leader = self.leader().await?;
        let other =
            (0..self.members.len()).find(|&n| n != leader && self.members[n].is_meant_to_run());
        other.context("etcd has one member only")
    }

    /// A member, to be killed, stopped or started again.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn member(&mut self, n: usize) -> &mut Member {
        &mut self.members[n]
    }

    /// Starts a member again, on its old data and ports, and waits until it works.
    ///
    /// # Errors
    ///
    /// With its log, if it does not.
    pub async fn restart(&mut self, n: usize) -> Result<()> {
        self.members[n].restart()?;
        self.ready().await
    }

    /// Adds a member and waits until it works; its number.
    ///
    /// # Errors
    ///
    /// With its log, if it does not.
    pub async fn join(&mut self) -> Result<usize> {
        let n = self.members.len();
        let plan = Plan::new(n, self.folder.path(), self.tls.is_some())?;
        self.client().await?.member_add([plan.peer()], None).await?;
        let peers = self.members.iter().map(Member::plan).chain([&plan]).map(Plan::as_peer);
        let cluster = peers.collect::<Vec<_>>().join(",");
        let member = Member::start(plan, self.arguments(&cluster, "existing"))?;
        self.members.push(member);
        self.ready().await?;
        Ok(n)
    }

    /// Removes a member from the others and ends it. Its number is not used again.
    ///
    /// # Errors
    ///
    /// If the others do not let it go.
    pub async fn leave(&mut self, n: usize) -> Result<()> {
        let (id, _) =
            self.status(n).await.with_context(|| format!("member {n} does not answer"))?;
        self.client().await?.member_remove(id).await?;
        self.members[n].kill()
    }

    /// Where clients reach the members, running or not.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|it| it.plan().client()).collect()
    }

    /// A client over all members; over TLS, as the user `root`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn client(&self) -> Result<Client> {
        Ok(Client::connect(self.endpoints(), self.connect_options()?).await?)
    }

    /// A client of one member.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub async fn client_of(&self, member: usize) -> Result<Client> {
        let endpoint = self.members[member].plan().client();
        Ok(Client::connect([endpoint], self.connect_options()?).await?)
    }

    fn connect_options(&self) -> Result<Option<ConnectOptions>> {
        let options = ConnectOptions::new().with_connect_timeout(ANSWER);
        let Some(tls) = &self.tls else { return Ok(Some(options)) };
        let issued = tls.pki.issue_etcd("root")?;
        let (certificate, key) = issued.pem();
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(tls.pki.authority_pem()))
            .identity(Identity::from_pem(certificate, key));
        Ok(Some(options.with_tls(tls)))
    }

    /// A certificate for a user of an etcd with TLS, in files of its folder.
    ///
    /// # Errors
    ///
    /// If it is without TLS.
    pub fn certificate_of(&self, user: &str) -> Result<Files> {
        let tls = self.tls.as_ref().context("this etcd has no TLS: start it with_tls")?;
        tls.pki.issue_etcd(user)?.write(self.folder.path(), user)
    }

    /// All keys that begin so.
    ///
    /// # Errors
    ///
    /// If etcd does not answer.
    pub async fn keys(&self, prefix: &str) -> Result<BTreeMap<String, Value>> {
        let all = Some(GetOptions::new().with_prefix());
        let found = self.client().await?.get(prefix, all).await?;
        found
            .kvs()
            .iter()
            .map(|it| {
                let text = it.value_str()?.to_owned();
                Ok((it.key_str()?.to_owned(), Value { text, lease: it.lease() }))
            })
            .collect()
    }
}

impl Tls {
    fn new(folder: &TempDir) -> Result<Self> {
        let pki = Pki::new("etcd")?;
        let server = pki.issue_etcd("etcd")?.write(folder.path(), "etcd-server")?;
        Ok(Self { pki, server })
    }
}
