//! With a ring that is too small, what is lost is counted to the event, a gap tells of it, and
//! afterwards the sensor knows again who is there.
//!
//! The truth is told by a second sensor with a large ring, the witness.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    Capture, Watch, bins,
    event::{action, entity, pid, recovered},
    field, ledger, lock, number, root_or_skip, storm, sys,
};

#[test]
fn a_ring_of_one_page() -> Result<()> {
    losses_are_exact(4096)
}

#[test]
fn a_ring_of_64_kib() -> Result<()> {
    losses_are_exact(65536)
}

fn losses_are_exact(ring_bytes: u64) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let witness = Watch::builder().backend("ebpf").start()?;
    let tiny = Watch::builder().backend("ebpf").ring_bytes(ring_bytes).start()?;
    let watcher = tiny.pid();

    let storm = storm::start(20_000, 2)?;
    pause(200);
    // Stands still for long enough to lose events whatever the size.
    sys::kill(tiny.pid(), libc::SIGSTOP)?;
    pause(300);
    let parents = (0..10).map(Parent::start).collect::<Result<Vec<_>>>()?;
    pause(200);
    sys::kill(tiny.pid(), libc::SIGCONT)?;
    storm.finish()?;
    tiny.wait_for("gap", |event| action(event) == "gap")?;
    pause(1500);

    let children = parents.into_iter().map(Parent::finish).collect::<Result<Vec<_>>>()?;
    pause(300);
    let last = marker()?;
    let (tiny, witness) = (tiny.stop()?, witness.stop()?);
    ensure!(witness.audit()?.dropped_total() == 0, "the witness lost events itself");

    counted_losses_are_those_seen(&tiny, &witness, watcher, last)?;
    gaps_tell_of_them(&tiny)?;
    parents_are_known_again(&tiny, &witness, &children)
}

/// A process that both tell of, as nothing else happens.
fn marker() -> Result<u32> {
    let mut child = Command::new(bins::testkit("actor")?).arg("noop").spawn()?;
    child.wait()?;
    Ok(child.id())
}

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// A process that began while events were lost and makes a child when all is quiet.
struct Parent(Child);

impl Parent {
    fn start(n: u32) -> Result<Self> {
        let mut command = Command::new(bins::testkit("actor")?);
        command.args(["parent", &n.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn()?))
    }

    /// The parent's pid and the child's.
    fn finish(mut self) -> Result<(u32, u32)> {
        self.0.stdin.take().context("stdin was piped")?.write_all(b"!")?;
        let mut said = String::new();
        self.0.stdout.take().context("stdout was piped")?.read_to_string(&mut said)?;
        self.0.wait()?;
        // Even one parent and its child fill half of a page.
        pause(300);
        let child = said.trim().strip_prefix("child ").context("no child")?;
        Ok((self.0.id(), child.parse()?))
    }
}

/// Events of a run, by action and process. What was rebuilt was not seen.
fn seen(events: impl Iterator<Item = Value>) -> Result<BTreeMap<(String, String), u64>> {
    let mut seen = BTreeMap::new();
    for event in events.filter(|event| !recovered(event)) {
        if matches!(action(&event), "fork" | "exec" | "end") {
            let entity = entity(&event).context("an event without entity_id")?.to_owned();
            *seen.entry((action(&event).to_owned(), entity)).or_default() += 1;
        }
    }
    Ok(seen)
}

fn counted_losses_are_those_seen(
    tiny: &Capture,
    witness: &Capture,
    watcher: u32,
    last: u32,
) -> Result<()> {
    let truth = witness.filter(|_| true)?;
    // The two did not start and stop at the same moment: the loader ends when all is attached.
    let loaded = |event: &Value| {
        action(event) == "end" && number(event, "process.parent.pid") == Some(watcher.into())
    };
    let over = |event: &Value| action(event) == "fork" && pid(event) == Some(last);
    let from = truth.iter().position(loaded).context("the witness saw no loader")?;
    let to = truth.iter().rposition(over).context("the witness saw no marker")?;
    let truth = seen(truth.into_iter().take(to).skip(from + 1))?;
    let told = seen(tiny.filter(|_| true)?.into_iter())?;

    let mut missing = ledger::Counts::new();
    for (key, &times) in &truth {
        let told = told.get(key).copied().unwrap_or_default();
        ensure!(told <= times, "{key:?} happened {times} times, told {told} times");
        *missing.entry(key.0.clone()).or_default() += times - told;
    }
    let audit = tiny.audit()?;
    let counted: ledger::Counts =
        missing.keys().map(|kind| (kind.clone(), audit.dropped_of(kind))).collect();
    println!("missing {missing:?}, counted {:?}", audit.dropped);
    ensure!(counted == missing, "missing {missing:?}, counted as dropped {counted:?}");
    ensure!(audit.dropped_total() > 0, "nothing was lost: the test has tested nothing");
    Ok(())
}

fn gaps_tell_of_them(tiny: &Capture) -> Result<()> {
    let audit = tiny.audit()?;
    let mut told: BTreeMap<String, ledger::Counts> = BTreeMap::new();
    for gap in &audit.gaps {
        let lost = ledger::by_cause(field(gap, "wanglou.gap.lost").context("no gap.lost")?)?;
        let total: u64 = lost.values().map(ledger::total).sum();
        let unrecovered = number(gap, "wanglou.gap.unrecovered").context("no gap.unrecovered")?;
        ensure!(unrecovered <= total, "{unrecovered} unrecovered of {total} lost");
        let times = ["event.start", "event.end"].map(|at| wanglou_testkit::event::time_ns(gap, at));
        ensure!(times[0].is_some() && times[0] <= times[1], "a gap from {times:?}");
        for (cause, actions) in lost {
            for (kind, n) in actions {
                *told.entry(cause.clone()).or_default().entry(kind).or_default() += n;
            }
        }
    }
    ensure!(told == audit.dropped, "gaps tell of {told:?}, the ledger of {:?}", audit.dropped);
    Ok(())
}

fn parents_are_known_again(
    tiny: &Capture,
    witness: &Capture,
    children: &[(u32, u32)],
) -> Result<()> {
    let (tiny, truth) = (tiny.filter(concerns(children))?, witness.filter(concerns(children))?);
    let truth: HashMap<_, _> =
        truth.iter().filter_map(|e| Some(((action(e), pid(e)?), e))).collect();
    let known: HashSet<&str> = tiny.iter().filter_map(entity).collect();
    for &(parent, child) in children {
        let of_child = |wanted: &str| {
            let event = tiny.iter().rfind(|e| action(e) == wanted && pid(e) == Some(child));
            event.with_context(|| format!("no {wanted} of the child {child}"))
        };
        for kind in ["fork", "exec", "end"] {
            let (told, truth) = (of_child(kind)?, truth[&(kind, child)]);
            for path in ["pid", "entity_id", "name", "executable"] {
                let path = format!("process.parent.{path}");
                let (told, truth) = (field(told, &path), field(truth, &path));
                ensure!(
                    told == truth && truth.is_some(),
                    "{kind}: {path} is {told:?}, not {truth:?}"
                );
            }
        }
        let parent_entity = entity(truth[&("fork", parent)]).context("no entity_id")?;
        ensure!(known.contains(parent_entity), "the parent {parent} is told of nowhere");
    }
    Ok(())
}

fn concerns(children: &[(u32, u32)]) -> impl Fn(&Value) -> bool {
    let pids: HashSet<u32> = children.iter().flat_map(|&(parent, child)| [parent, child]).collect();
    move |event| pid(event).is_some_and(|pid| pids.contains(&pid))
}
