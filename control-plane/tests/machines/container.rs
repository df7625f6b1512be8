//! What hosts do: a container each, by runc, in which a program with a name of its own is executed now and then.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use wanglou_testkit::containers::Programs;

use crate::machine::{Machine, said};

/// One that runs; it is gone when this is dropped.
pub(crate) struct Container<'a> {
    /// As runtimes make them.
    pub(crate) id: String,
    /// What is executed in it.
    pub(crate) program: String,
    pub(crate) host: &'a Machine,
}

impl<'a> Container<'a> {
    pub(crate) fn start(host: &'a Machine, n: usize, programs: &Programs) -> Result<Self> {
        let id = format!("{:02x}", 0xc0 + n).repeat(32);
        // busybox goes by its first name, whatever the rest is.
        let program = format!("busybox-{}", host.name);
        let on = host.namespaces();
        host.run("mkdir --parents /run/bundle/rootfs/bin /run/bundle/rootfs/proc")?;
        for (from, to) in [
            ("runc", "/usr/local/bin/runc".to_owned()),
            ("busybox", "/run/bundle/rootfs/bin/busybox".to_owned()),
            ("busybox", format!("/run/bundle/rootfs/bin/{program}")),
        ] {
            let from = programs.find(from);
            fs::copy(&from, on.path(&to)).with_context(|| from.display().to_string())?;
        }
        host.run("runc spec --bundle /run/bundle")?;
        let path = on.path("/run/bundle/config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&path)?)?;
        // It ends by itself, should nobody be left to end it.
        let script = format!(
            "i=0; while [ $i -lt 120 ]; do /bin/{program} true; /bin/busybox sleep 1; i=$((i+1)); done"
        );
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["/bin/busybox", "sh", "-c", script]);
        spec["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        fs::write(&path, spec.to_string())?;
        let container = Self { id, program, host };
        // Its output is a file of the host's, as what holds the pipe would be waited for.
        host.run(&format!(
            "runc run --detach --bundle /run/bundle {} > /run/bundle/log 2>&1 || {{ cat /run/bundle/log; exit 1; }}",
            container.id
        ))?;
        Ok(container)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let mut delete = self.host.namespaces().command("runc");
        if let Err(error) = said(delete.args(["delete", "--force", &self.id])) {
            eprintln!("a container of {} is left: {error:#}", self.host.name);
        }
    }
}
