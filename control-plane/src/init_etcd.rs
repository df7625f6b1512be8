//! `init-etcd`: the users and roles of a fleet in etcd, each for its own keys.
//!
//! ```text
//! wanglou.<fleet>.config   host, config, rollout, command, stop, token, operator, crl, audit, schema
//! wanglou.<fleet>.live     live, end, replica, task
//! ```
//!
//! Each may write these, and read all of the fleet, which a replica lists and watches at once.
//!
//! Users are named as their certificates are (etcd's `--client-cert-auth` takes the common name); there are no passwords.
//! Running it again changes nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use etcd_client::{AuthClient, Client, Error, Permission, UserAddOptions};
use wanglou_api::identity::Name;

use crate::config::Etcd;
use crate::store;

/// Keys that change when an operator wants it, and keys that change as hosts come and go.
const PARTS: [(&str, &[&str]); 2] = [
    (
        "config",
        &[
            "host", "config", "rollout", "command", "stop", "token", "operator", "crl", "audit",
            "schema",
        ],
    ),
    ("live", &["live", "end", "replica", "task"]),
];

/// Where etcd is, and who is to be let in.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A member of etcd; may be given several times
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2379")]
    endpoint: Vec<String>,
    /// Certificate of etcd's root, PEM
    #[arg(long, value_name = "FILE", requires = "key", requires = "authorities")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Who says who etcd is, PEM
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// The fleet
    #[arg(long)]
    fleet: Name,
    /// Common name of the replicas' certificates for etcd
    #[arg(long, default_value = "wanglou")]
    user: Name,
    /// From now on let nobody in who is no user: etcd's user root, with the common name root, has to be able to
    #[arg(long)]
    enable_auth: bool,
}

/// Does it, and says what there was to do.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let file = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let etcd = Etcd {
        endpoints: args.endpoint.clone(),
        certificate: file(&args.certificate),
        key: file(&args.key),
        authorities: file(&args.authorities),
    };
    if args.enable_auth && args.certificate.is_none() {
        bail!(
            "--enable-auth without --certificate would lock you out: etcd would ask for a password of root"
        );
    }
    let endpoints = args.endpoint.join(", ");
    let client = Client::connect(&etcd.endpoints, Some(store::options(&etcd)?)).await;
    let mut auth = client.with_context(|| format!("etcd at {endpoints}"))?.auth_client();
    add_user(&mut auth, args.user.as_str()).await?;
    for (part, kinds) in PARTS {
        let role = format!("wanglou.{}.{part}", args.fleet);
        say(&format!("role {role}"), auth.role_add(role.clone()).await.map(drop))?;
        let folder = format!("/wanglou/{}/v1/", args.fleet);
        let all = [(folder.clone(), Permission::read(folder.clone()))];
        let own = kinds.iter().map(|kind| {
            let prefix = format!("{folder}{kind}/");
            (prefix.clone(), Permission::read_write(prefix))
        });
        for (prefix, may) in all.into_iter().chain(own) {
            auth.role_grant_permission(role.clone(), may.with_prefix())
                .await
                .with_context(|| format!("cannot give {role} {prefix}"))?;
        }
        grant(&mut auth, args.user.as_str(), &role).await?;
    }
    if args.enable_auth {
        say("role root", auth.role_add("root").await.map(drop))?;
        add_user(&mut auth, "root").await?;
        grant(&mut auth, "root", "root").await?;
        say("authentication", auth.auth_enable().await.map(drop))?;
    }
    Ok(())
}

/// Sees to it that there is a user.
async fn add_user(auth: &mut AuthClient, name: &str) -> Result<()> {
    let without = UserAddOptions::new().with_no_pwd();
    say(&format!("user {name}"), auth.user_add(name, "", Some(without)).await.map(drop))
}

/// Sees to it that a user has a role.
async fn grant(auth: &mut AuthClient, name: &str, role: &str) -> Result<()> {
    let granted = auth.user_grant_role(name, role).await.map(drop);
    granted.with_context(|| format!("cannot give {name} the role {role}"))?;
    println!("user {name} has the role {role}");
    Ok(())
}

/// Says that it is there, by us or before.
fn say(what: &str, done: Result<(), Error>) -> Result<()> {
    match done {
        Ok(()) => println!("{what}: made"),
        Err(Error::GRpcStatus(status)) if status.message().contains("already exists") => {
            println!("{what}: is there");
        }
        Err(error) => return Err(error).with_context(|| format!("{what} cannot be made")),
    }
    Ok(())
}
