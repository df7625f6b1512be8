//! Keys that sign orders, and keys that are believed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use wanglou_api::signing::{May, Signer, Verifier};

use crate::config::Fleet;

/// Our own, for stops.
pub(super) fn signer(fleet: &Fleet) -> Result<Option<Signer>> {
    let path = &fleet.stop_key;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let signer = Signer::from_pem(&read(path)?);
    signer.map(Some).with_context(|| format!("fleet.stop_key: {}", path.display()))
}

/// Those of operators, and our own.
pub(super) fn believed(fleet: &Fleet) -> Result<Vec<Verifier>> {
    let mut keys = Vec::new();
    for path in &fleet.operator_keys {
        let key = Verifier::from_pem(&read(path)?, May::StopAndStart);
        keys.push(key.with_context(|| format!("fleet.operator_keys: {}", path.display()))?);
    }
    keys.extend(signer(fleet)?.map(|signer| signer.verifier(May::Stop)));
    Ok(keys)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
