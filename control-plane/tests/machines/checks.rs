//! What is so, asked of the machines themselves.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::container::Container;
use crate::fleet::Machines;

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(300);

const ETCDCTL: &str = "cd /root/fleet; etcdctl --cert=root.pem --key=root.key --cacert=etcd.pem";

/// By name, and each of them.
pub(crate) fn members_are_healthy(machines: &Machines) -> Result<()> {
    let ops = machines.named("ops")?;
    let list = ops.run(&format!("{ETCDCTL} --endpoints=https://etcd-1:2379 member list"))?;
    ensure!(list.matches(", started, ").count() == 3, "{list}");
    for n in 1..=3 {
        ops.run(&format!("{ETCDCTL} --endpoints=https://etcd-{n}:2379 endpoint health"))?;
    }
    Ok(())
}

/// Both are, and know of each other.
pub(crate) fn replicas_are_ready(machines: &Machines) -> Result<()> {
    for name in ["replica-1", "replica-2"] {
        let replica = machines.named(name)?;
        until(&format!("{name} knows both"), || {
            replica.run("curl --fail --silent http://127.0.0.1:9630/readyz")?;
            let status = replica.run("curl --fail --silent http://127.0.0.1:9630/status")?;
            let status: Value = serde_json::from_str(&status)?;
            let both = status["replicas"].as_array().is_some_and(|all| all.len() == 2);
            Ok(both && status["lake_is_open"] == true && status["etcd_answers"] == true)
        })?;
    }
    Ok(())
}

/// All hosts that there are, by name, are in these states.
pub(crate) fn hosts_are(machines: &Machines, expected: [(&str, &str); 5]) -> Result<()> {
    until(&format!("{expected:?}"), || {
        let hosts = ask(machines, "hosts")?;
        let is = |(name, state): &(&str, &str)| {
            hosts.iter().any(|host| host["hostname"] == *name && host["state"] == *state)
        };
        Ok(hosts.len() == expected.len() && expected.iter().all(is))
    })
}

/// Of the host that it is on: others see it too, as there is one kernel, and say of it what is so.
pub(crate) fn is_in_the_lake(machines: &Machines, container: &Container) -> Result<()> {
    let (host, program) = (container.host, &container.program);
    let id = host.run("cat /etc/machine-id")?.trim().to_owned();
    until(&format!("{program} of {}", host.name), || {
        let asked =
            format!("events --action exec --since 10m --where \"process.name = '{program}'\"");
        let told = ask(machines, &asked)?;
        for event in &told {
            ensure!(event["container"]["id"] == *container.id, "{event}");
        }
        let own = told.iter().find(|event| event["host"]["id"] == *id);
        Ok(own.is_some_and(|event| event["host"]["name"] == *host.name))
    })
}

/// Of every run all that was produced is stored or known to be lost, and the one that a stop has ended is closed.
pub(crate) fn books_balance(machines: &Machines) -> Result<()> {
    until("runs of five hosts balance, and one is closed", || {
        let runs = ask(machines, "reconcile")?;
        let sum = runs.last().context("nothing was reconciled")?;
        let number = |key: &str| sum[key].as_u64().unwrap_or_default();
        ensure!(sum["complete"] == true && number("runs_unbalanced") == 0, "{runs:#?}");
        Ok(number("runs_balanced") >= 1 && number("runs_open") >= 5)
    })
}

/// What the operator's program answers, an object a line.
fn ask(machines: &Machines, what: &str) -> Result<Vec<Value>> {
    let told = machines.named("ops")?.run(&format!("wanglou --output json {what}"))?;
    told.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        ensure!(started.elapsed() < PATIENCE, "it is not so: {what}");
        sleep(POLL);
    }
    Ok(())
}
