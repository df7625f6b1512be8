use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    Stream, Watch, containers::Containerd, event, event::action, lock, number, scratch::Scratch,
    text,
};

use crate::{container, id, programs, tag};

/// Ways in which runtimes name cgroups, and what they tell of the runtime.
fn cgroups() -> [(String, Option<&'static str>); 5] {
    let under = |prefix: &str, n, suffix: &str| format!("{prefix}{}{suffix}", id(n));
    [
        (under("/docker/", 1, ""), Some("docker")),
        (under("/system.slice/docker-", 2, ".scope"), Some("docker")),
        (under("/kubepods.slice/cri-containerd-", 3, ".scope"), Some("containerd")),
        (under("/machine.slice/libpod-", 4, ".scope/container"), Some("podman")),
        (under(&format!("/docker/{}/kubepods/burstable/pod7/", id(200)), 5, ""), None),
    ]
}

fn watch(backend: &str) -> Result<Watch> {
    let nobody = "/nonexistent";
    let builder = Watch::builder().backend(backend).arg("--cri-socket").arg(nobody);
    builder.arg("--docker-socket").arg(nobody).start()
}

/// Runs a shell that is there for long enough to be found in /proc.
fn staying(tag: &str) -> String {
    format!("/bin/busybox sh -c ':; /bin/busybox sleep 0.4; :' {tag}")
}

/// Containers that were there, that come, and that are gone at once, by their paths.
#[test]
fn every_event_has_its_container() -> Result<()> {
    for backend in ["ebpf", "cn_proc"] {
        let Some(programs) = programs() else { return Ok(()) };
        let _turn = lock::alone()?;
        let mut containerd = Containerd::start(programs)?;
        let given = Scratch::new("given")?;
        let old = id(100);
        let wait = "while [ ! -e /given/go ]; do /bin/busybox sleep 0.1; done";
        let script = format!("{wait}; {}", staying("placed-old"));
        containerd.run(&old, &script, given.path(), None)?;
        let watch = watch(backend)?;
        fs::write(given.join("go"), "")?;
        containerd.remove(&old)?;
        for (n, (cgroup, _)) in cgroups().iter().enumerate() {
            let script = format!("/bin/busybox sleep 0.1; {}", staying(&format!("placed-{n}")));
            containerd.run(&format!("container-{n}"), &script, given.path(), Some(cgroup))?;
            containerd.remove(&format!("container-{n}"))?;
        }
        // What is over before anybody can look.
        let short = id(101);
        containerd.run(&short, "exec /bin/busybox true placed-short", given.path(), None)?;
        containerd.remove(&short)?;
        thread::sleep(Duration::from_millis(200));
        let capture = watch.stop()?;
        capture.audit()?;
        let stream = capture.stream()?;

        let mut expected: Vec<_> = cgroups()
            .iter()
            .enumerate()
            .map(|(n, (_, runtime))| (format!("placed-{n}"), id(n + 1), *runtime))
            .collect();
        expected.push(("placed-old".to_owned(), old, None));
        if backend == "ebpf" {
            expected.push(("placed-short".to_owned(), short, None));
        }
        for (wanted, id, runtime) in expected {
            check(&stream, &wanted, &id, runtime)
                .with_context(|| format!("{backend}: {wanted}"))?;
        }
        let own = stream.life(containerd_pid(&stream)?)?;
        ensure!(
            own.events.iter().all(|event| container(event).is_none()),
            "the host is no container"
        );
    }
    Ok(())
}

/// All events of the process that executed something with this tag.
fn check(stream: &Stream, wanted: &str, id: &str, runtime: Option<&str>) -> Result<()> {
    let executed =
        |event: &&serde_json::Value| action(event) == "exec" && tag(event) == Some(wanted);
    let exec = stream.events().iter().find(executed).context("nobody executed it")?;
    ensure!(container(exec) == Some(id), "{exec}");
    ensure!(text(exec, "container.runtime") == runtime, "{exec}");
    // Paths are the container's own; ids of processes are the host's, and its own beside them.
    ensure!(text(exec, "process.executable") == Some("/bin/busybox"), "{exec}");
    let (pid, vpid) = (number(exec, "process.pid"), number(exec, "process.vpid"));
    ensure!(vpid.is_some() && vpid < Some(100) && pid > vpid, "{exec}");
    let entity = event::entity(exec).context("no identity")?;
    let end =
        stream.events().iter().find(|it| action(it) == "end" && event::entity(it) == Some(entity));
    ensure!(end.is_none_or(|end| container(end) == Some(id)), "{end:?}");
    Ok(())
}

/// Whoever ran `ctr` last is a process of the host.
fn containerd_pid(stream: &Stream) -> Result<u32> {
    let is_ctr = |event: &&serde_json::Value| text(event, "process.name") == Some("ctr");
    let found = stream.events().iter().filter(is_ctr).find_map(event::pid);
    found.context("ctr was not seen")
}
