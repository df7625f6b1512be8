//! What is true of Docker's containers and of Podman's.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wanglou_testkit::{
    Stream, Watch,
    containers::{self, Engine, IMAGE, Start},
    event::{action, field, pid},
    number,
    scratch::Scratch,
    text,
};

use crate::{container, tag};

/// What is told of whose.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    /// `container.runtime`.
    pub(crate) runtime: &'static str,
    /// The same, as far as the path tells it that a container has below a cgroup of the user's choice.
    pub(crate) elsewhere: Option<&'static str>,
    /// Who looks after a container, and is not in it.
    pub(crate) keeper: &'static str,
}

/// What was started, and what was seen of it.
struct Seen {
    /// Is there for long, and is called `web`.
    web: String,
    /// Its first process.
    web_pid: u32,
    /// Is over at once, and gone.
    short: String,
    /// Has another parent.
    elsewhere: String,
    stream: Stream,
}

/// Has it run containers while the sensor watches, which may ask a runtime of Kubernetes, too.
pub(crate) fn check(engine: &mut Engine, cri: &Path, expected: Expected) -> Result<()> {
    let seen = Seen::by(engine, cri)?;
    let about_web = |event: &&Value| container(event) == Some(&seen.web);
    seen.is_told_of_web(expected.runtime)?;
    for event in seen.stream.events().iter().filter(about_web) {
        ensure!(text(event, "container.runtime") == Some(expected.runtime), "{event}");
    }
    let short = seen.one("short")?;
    ensure!(container(short) == Some(&seen.short), "{short}");
    ensure!(text(short, "container.runtime") == Some(expected.runtime), "{short}");

    let elsewhere = seen.one("elsewhere")?;
    ensure!(container(elsewhere) == Some(&seen.elsewhere), "{elsewhere}");
    let completed = &seen.stream.events()[seen.told(&seen.elsewhere)?];
    ensure!(text(completed, "container.name") == Some("elsewhere"), "{completed}");
    ensure!(text(completed, "container.runtime") == Some(expected.runtime), "{completed}");
    if text(elsewhere, "container.name").is_none() {
        ensure!(text(elsewhere, "container.runtime") == expected.elsewhere, "{elsewhere}");
    }

    let is_keeper = |event: &&Value| text(event, "process.name") == Some(expected.keeper);
    let mut kept = seen.stream.events().iter().filter(is_keeper).peekable();
    ensure!(kept.peek().is_some(), "{} was not seen", expected.keeper);
    let inside = kept.find(|event| container(event).is_some());
    ensure!(inside.is_none(), "{} is not in a container: {inside:?}", expected.keeper);
    Ok(())
}

impl Seen {
    fn by(engine: &mut Engine, cri: &Path) -> Result<Self> {
        let given = Scratch::new("given")?;
        let watch = Watch::builder()
            .backend("ebpf")
            .arg("--cri-socket")
            .arg(&cri.to_string_lossy())
            .arg("--docker-socket")
            .arg(&engine.socket().to_string_lossy())
            .start()?;
        let script = "/bin/busybox true first; while [ ! -e /given/go ]; do /bin/busybox sleep \
                      0.1; done; /bin/busybox true last; exec /bin/busybox sleep 1000";
        let labels = ["--label", "tier=front", "--label", "app=web"];
        let start = Start { name: "web", args: &labels, script, given: given.path() };
        let web = engine.run(start)?;
        let web_pid = engine.pid("web")?;
        watch.wait_for("record that completes it", |event| completes(event, &web))?;
        fs::write(given.join("go"), "")?;
        watch.wait_for("event after it", |event| tag(event) == Some("last"))?;
        engine.exec("web", "/bin/busybox true entered; :")?;

        let script = "exec /bin/busybox true short";
        let short = engine.run(Start { name: "short", args: &["--rm"], script, ..start })?;
        let parent = ["--cgroup-parent", &containers::cgroup()];
        let script = "/bin/busybox true elsewhere; exec /bin/busybox sleep 1000";
        let elsewhere = engine.run(Start { name: "elsewhere", args: &parent, script, ..start })?;
        watch.wait_for("the other's record", |event| completes(event, &elsewhere))?;
        watch.wait_for("short container", |event| tag(event) == Some("short"))?;
        let capture = watch.stop()?;
        capture.audit()?;
        Ok(Self { web, web_pid, short, elsewhere, stream: capture.stream()? })
    }

    fn is_told_of_web(&self, runtime: &str) -> Result<()> {
        // Its shell, which was executed before anybody could be asked.
        let of_shell = |event: &&Value| {
            action(event) == "exec"
                && pid(event) == Some(self.web_pid)
                && container(event).is_some()
        };
        let shell = self.stream.events().iter().find(of_shell).context("no shell")?;
        ensure!(text(shell, "process.executable") == Some("/bin/busybox"), "{shell}");
        ensure!(number(shell, "process.vpid") == Some(1), "{shell}");
        let [first, last, entered] = ["first", "last", "entered"].map(|tag| self.one(tag));
        let (first, last, entered) = (first?, last?, entered?);
        for event in [shell, first, last, entered] {
            ensure!(container(event) == Some(&self.web), "{event}");
            let (pid, vpid) = (number(event, "process.pid"), number(event, "process.vpid"));
            ensure!(vpid.is_some() && pid > vpid, "{event}");
        }
        let parent = number(first, "process.parent.pid");
        ensure!(parent == Some(self.web_pid.into()), "{first}");

        let told = &self.stream.events()[self.told(&self.web)?];
        ensure!(text(told, "event.kind") == Some("asset"), "{told}");
        ensure!(text(told, "event.provider") == Some("docker"), "{told}");
        for event in [told, last, entered] {
            let whole = json!({
                "id": self.web, "name": "web", "image": { "name": IMAGE }, "runtime": runtime,
            });
            ensure!(field(event, "container") == Some(&whole), "{event}");
            let labels = json!(["app=web", "tier=front"]);
            ensure!(field(event, "wanglou.container_labels") == Some(&labels), "{event}");
        }
        Ok(())
    }

    /// What executed something with this tag.
    fn one(&self, wanted: &str) -> Result<&Value> {
        let is_it = |event: &&Value| action(event) == "exec" && tag(event) == Some(wanted);
        self.stream.events().iter().find(is_it).with_context(|| format!("no {wanted}"))
    }

    /// The only record that completes a container.
    fn told(&self, id: &str) -> Result<usize> {
        let mut all = self.stream.events().iter().enumerate();
        let told: Vec<_> = all.by_ref().filter(|(_, it)| completes(it, id)).collect();
        ensure!(told.len() == 1, "told of {id}: {told:?}");
        Ok(told[0].0)
    }
}

fn completes(event: &Value, id: &str) -> bool {
    action(event) == "container_seen" && container(event) == Some(id)
}
