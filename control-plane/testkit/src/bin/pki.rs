//! Certificates and keys of a fleet for one machine, to try things with: `pki FOLDER FLEET HOST`.
//!
//! ```text
//! replica.pem host.pem operator.pem    for the replica `local`, the host, and the operator `local`
//! replica.key host.key operator.key
//! authority.pem                        who has issued them
//! stop-key.key stop-key.pub            with which the replica signs a stop
//! operator-key.key operator-key.pub    with which the operator signs a start
//! ```

use std::env;
use std::path::Path;

use anyhow::{Result, bail};
use wanglou_fleet_testkit::Pki;
use wanglou_fleet_testkit::pki::OrderKey;

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [folder, fleet, host] = &arguments[..] else { bail!("usage: pki FOLDER FLEET HOST") };
    let folder = Path::new(folder);
    let pki = Pki::new(fleet)?;
    pki.save(folder)?;
    for (role, id) in [("replica", "local"), ("host", host), ("operator", "local")] {
        pki.issue(&format!("spiffe://{fleet}/{role}/{id}"))?.write(folder, role)?;
    }
    for name in ["stop-key", "operator-key"] {
        OrderKey::new()?.write(folder, name)?;
    }
    Ok(())
}
