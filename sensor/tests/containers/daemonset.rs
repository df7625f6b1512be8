//! docs/deploy/kubernetes/sensor/daemonset.yaml, and what a kubelet makes of it.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wanglou_testkit::containers::{
    Pod,
    messages::{
        Capability, ContainerConfig, ContainerMetadata, ContainerSecurity, ImageSpec,
        LinuxContainer, Mount, Resources, SecurityProfile,
    },
};

const MANIFEST: &str = "../docs/deploy/kubernetes/sensor/daemonset.yaml";
/// `SecurityProfile.ProfileType` and `MountPropagation`.
const RUNTIME_DEFAULT: i32 = 0;
const UNCONFINED: i32 = 1;
const HOST_TO_CONTAINER: i32 = 1;
/// What a kubelet has a runtime hide of /proc, and keep from being written, if nobody says anything else.
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The manifest.
pub(crate) struct DaemonSet(Value);

impl DaemonSet {
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(MANIFEST).with_context(|| MANIFEST)?;
        Ok(Self(serde_saphyr::from_str(&text)?))
    }

    fn spec(&self) -> &Value {
        &self.0["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.spec()["containers"][0]
    }

    /// Its pod, as far as tests are given one.
    pub(crate) fn pod(&self, cgroup: String, logs: &Path) -> Result<Pod> {
        ensure!(
            self.spec()["hostNetwork"] == true,
            "every pod of the tests has the host's network"
        );
        Ok(Pod {
            name: "wanglou-sensor-x7x2q".to_owned(),
            uid: "0d4c1e7a-93b5-4b7c-8a55-0f6c3d0e1b77".to_owned(),
            cgroup,
            logs: Some(logs.to_owned()),
            host_pid: self.spec()["hostPID"] == true,
            ..Pod::default()
        })
    }

    /// How long it has to end, s.
    pub(crate) fn grace(&self) -> Result<i64> {
        self.spec()["terminationGracePeriodSeconds"].as_i64().context("no grace")
    }

    /// Paths that are asked whether it is well, and whether it is ready.
    pub(crate) fn probes(&self) -> [&str; 2] {
        ["livenessProbe", "readinessProbe"]
            .map(|probe| self.container()[probe]["httpGet"]["path"].as_str().unwrap_or_default())
    }

    /// Names of capabilities, as Kubernetes has them.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        strings(&self.container()["securityContext"]["capabilities"]["add"])
    }

    /// Its only container. `host` says where something of the host lies in the test, by the volume's name.
    pub(crate) fn config(
        &self,
        pod: &Pod,
        image: &str,
        host: impl Fn(&str) -> Result<String>,
    ) -> Result<ContainerConfig> {
        let container = self.container();
        let name = container["name"].as_str().context("no name")?;
        let mounts = container["volumeMounts"].as_array().context("no mounts")?;
        let mounts = mounts.iter().map(|mount| {
            let text = |key: &str| mount[key].as_str().unwrap_or_default();
            Ok(Mount {
                container_path: text("mountPath").to_owned(),
                host_path: host(text("name"))?,
                readonly: mount["readOnly"] == true,
                propagation: match text("mountPropagation") {
                    "" | "None" => 0,
                    "HostToContainer" => HOST_TO_CONTAINER,
                    other => bail!("the test knows no propagation {other}"),
                },
            })
        });
        Ok(ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned() }),
            image: Some(ImageSpec { image: image.to_owned() }),
            args: strings(&container["args"]),
            mounts: mounts.collect::<Result<_>>()?,
            log_path: "sensor.log".to_owned(),
            linux: Some(LinuxContainer {
                resources: Some(self.resources()?),
                security_context: Some(self.security(pod)?),
            }),
            ..ContainerConfig::default()
        })
    }

    fn resources(&self) -> Result<Resources> {
        let resources = &self.container()["resources"];
        let amount = |of: &Value, unit: &str| -> Result<i64> {
            let text = of.as_str().unwrap_or_default().strip_suffix(unit);
            Ok(text.with_context(|| format!("{of} has not the unit {unit}"))?.parse()?)
        };
        ensure!(resources["limits"]["cpu"].is_null(), "the test makes no quota");
        Ok(Resources {
            cpu_shares: amount(&resources["requests"]["cpu"], "m")? * 1024 / 1000,
            memory_limit_in_bytes: amount(&resources["limits"]["memory"], "Mi")? * 1024 * 1024,
        })
    }

    fn security(&self, pod: &Pod) -> Result<ContainerSecurity> {
        let context = &self.container()["securityContext"];
        let profile = |key: &str| match context[key]["type"].as_str() {
            Some("RuntimeDefault") => Ok(Some(SecurityProfile { profile_type: RUNTIME_DEFAULT })),
            Some("Unconfined") => Ok(Some(SecurityProfile { profile_type: UNCONFINED })),
            other => bail!("the test knows no profile {other:?}"),
        };
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Ok(ContainerSecurity {
            capabilities: Some(Capability {
                add_capabilities: self.capabilities(),
                drop_capabilities: strings(&context["capabilities"]["drop"]),
            }),
            privileged: context["privileged"] == true,
            namespace_options: Some(pod.namespaces()),
            run_as_user: context["runAsUser"].as_i64(),
            run_as_group: context["runAsGroup"].as_i64(),
            readonly_rootfs: context["readOnlyRootFilesystem"] == true,
            no_new_privs: context["allowPrivilegeEscalation"] == false,
            masked_paths: owned(&MASKED),
            readonly_paths: owned(&READ_ONLY),
            seccomp: profile("seccompProfile")?,
            apparmor: profile("appArmorProfile")?,
        })
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
