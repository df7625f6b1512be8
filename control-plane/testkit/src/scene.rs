//! A fleet of one's own with its etcd, for a test.

use anyhow::{Context as _, Result};
use serde_json::Value;
use wanglou_api::signing::Signer;

use crate::etcd::Etcd;
use crate::pki::{OrderKeyFiles, Pki};
use crate::replica::{Fleet, Replica};

/// All of it; it is gone when this is dropped.
#[derive(Debug)]
pub struct Scene {
    /// Where the truth is.
    pub etcd: Etcd,
    /// What its replicas have in common.
    pub fleet: Fleet,
}

impl Scene {
    /// With one member of etcd.
    ///
    /// # Errors
    ///
    /// If there is no etcd.
    pub async fn one() -> Result<Self> {
        Ok(Self { etcd: Etcd::one().await?, fleet: Fleet::new("blue")? })
    }

    /// With three.
    ///
    /// # Errors
    ///
    /// If there is no etcd.
    pub async fn three() -> Result<Self> {
        Ok(Self { etcd: Etcd::three().await?, fleet: Fleet::new("blue")? })
    }

    /// Who says who somebody is.
    pub fn pki(&self) -> &Pki {
        &self.fleet.pki
    }

    /// Starts a replica with some settings of its own, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// With its log, if it does not get ready.
    pub async fn replica(&self, id: &str, settings: &[(&str, Value)]) -> Result<Replica> {
        let change = |to: &mut crate::replica::Settings| {
            for (path, value) in settings {
                to.set(path, value.clone());
            }
        };
        self.fleet.replica(id, &self.etcd.endpoints(), change).await
    }

    /// Signs as an operator does.
    ///
    /// # Errors
    ///
    /// If the key is not there.
    pub fn operator_signer(&self) -> Result<Signer> {
        signer(&self.fleet.operator_key)
    }

    /// Signs as a replica does.
    ///
    /// # Errors
    ///
    /// If the key is not there.
    pub fn stop_signer(&self) -> Result<Signer> {
        signer(&self.fleet.stop_key)
    }
}

fn signer(files: &OrderKeyFiles) -> Result<Signer> {
    let path = &files.private;
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Signer::from_pem(&pem)?)
}
