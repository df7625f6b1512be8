use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wanglou_testkit::{
    Watch,
    containers::{Containerd, Cri, IMAGE, POD_NAMESPACE, Pod},
    event::{action, field},
    lock,
    scratch::Scratch,
    text,
};

use crate::{container, programs, tag};

/// A pod whose container is younger than the sensor: what it does first is told of at once, and what it is called a
/// little later.
#[test]
fn what_a_pod_is_called_comes_later() -> Result<()> {
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = lock::alone()?;
    let containerd = Containerd::start(programs)?;
    let mut cri = Cri::connect(&containerd.socket())?;
    let given = Scratch::new("given")?;
    let labels = [("app", "web"), ("tier", "front"), ("io.kubernetes.pod.name", "web-0")];
    let pod = Pod {
        name: "web-0".to_owned(),
        uid: "8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b11".to_owned(),
        cgroup: format!("{}/kubepods/burstable/pod8c1f7a52", containerd.cgroup()),
        labels: BTreeMap::from(labels.map(|(key, value)| (key.to_owned(), value.to_owned()))),
        ..Pod::default()
    };
    let watch = Watch::builder()
        .backend("ebpf")
        .arg("--cri-socket")
        .arg(&containerd.socket().to_string_lossy())
        .start()?;
    let pod_id = cri.run_pod(&pod)?;
    let script = "/bin/busybox true first; while [ ! -e /given/go ]; do /bin/busybox sleep 0.1; \
                  done; /bin/busybox true last; exec /bin/busybox sleep 1000";
    let id = cri.run((&pod_id, &pod), "server", script, given.path())?;
    let completes =
        |event: &Value| action(event) == "container_seen" && container(event) == Some(&id);
    watch.wait_for("record that completes the container", completes)?;
    // What holds the pod's namespaces was there before its runtime knew it, and does nothing any more.
    let of_pod =
        |event: &Value| action(event) == "container_seen" && container(event) == Some(&pod_id);
    watch.wait_for("record that completes the pod's own", of_pod)?;
    fs::write(given.join("go"), "")?;
    watch.wait_for("event after it", |event| tag(event) == Some("last"))?;
    cri.remove_pod(&pod_id)?;
    let capture = watch.stop()?;
    capture.audit()?;
    let stream = capture.stream()?;

    let place = |wanted: &dyn Fn(&Value) -> bool| {
        stream.events().iter().position(wanted).context("an event is missing")
    };
    let first = place(&|event| tag(event) == Some("first"))?;
    let told = place(&completes)?;
    let last = place(&|event| tag(event) == Some("last"))?;
    ensure!(first < told && told < last, "{first}, {told}, {last}");
    let [first, told, last] = [first, told, last].map(|at| &stream.events()[at]);
    ensure!(container(first) == Some(&id), "{first}");
    ensure!(text(first, "container.name").is_none(), "it was told of at once: {first}");
    let names = json!({
        "namespace": POD_NAMESPACE,
        "resource": {
            "name": "web-0",
            "id": "8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b11",
            "label": ["app=web", "tier=front"],
        },
    });
    for event in [told, last] {
        let whole = json!({
            "id": id, "name": "server", "image": { "name": IMAGE }, "runtime": "containerd",
        });
        ensure!(field(event, "container") == Some(&whole), "{event}");
        ensure!(field(event, "orchestrator") == Some(&names), "{event}");
    }
    ensure!(text(told, "event.kind") == Some("asset"), "{told}");
    ensure!(text(told, "event.provider") == Some("cri"), "{told}");
    // It is in the pod, and has no name.
    let holder = &stream.events()[place(&of_pod)?];
    ensure!(field(holder, "orchestrator") == Some(&names), "{holder}");
    ensure!(text(holder, "container.name").is_none(), "{holder}");
    let twice = stream.events().iter().filter(|event| completes(event)).count();
    ensure!(twice == 1, "it was told {twice} times");
    Ok(())
}
