//! What is said over UDP, in sum.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Case, Expect, Stage, expect::same};
use crate::event::{action, number, time_ns};

const COUNT: u64 = 25;
const BYTES: u64 = 100;

pub(super) const CASES: &[Case] = &[
    Case::probes("udp_connected", |stage| flow(stage, "connected")),
    Case::probes("udp_unconnected", |stage| flow(stage, "unconnected")),
];

/// Both ends tell the same: who asked, how much was asked and answered.
fn flow(stage: &Stage, how: &str) -> Result<Expect> {
    let mut server =
        stage.role("udp-serve").arg(COUNT.to_string()).stdout(Stdio::piped()).spawn()?;
    let mut named = String::new();
    BufReader::new(server.stdout.take().context("a pipe")?).read_line(&mut named)?;
    let port: u16 = named.trim().strip_prefix("port ").context("no port")?.parse()?;
    let address = format!("127.0.0.1:{port}");
    let client = stage.run(stage.role("udp-ask").args([
        how,
        &address,
        &COUNT.to_string(),
        &BYTES.to_string(),
    ]))?;
    server.wait()?;
    let server = server.id();
    Ok(Box::new(move |stream| {
        for (pid, direction) in [(client, "egress"), (server, "ingress")] {
            let life = stream.life(pid)?;
            let flows = life.of("flow");
            ensure!(!flows.is_empty(), "no flow among {:?}", life.actions());
            for flow in &flows {
                same(flow, "network.direction", direction)?;
                same(flow, "network.transport", "udp")?;
                same(flow, "destination.port", port)?;
                same(flow, "destination.ip", "127.0.0.1")?;
                ensure!(time_ns(flow, "event.start") < time_ns(flow, "event.end"), "took no time");
            }
            // The sweep may come in between: the parts make the whole.
            for (field, wanted) in [
                ("source.packets", COUNT),
                ("source.bytes", COUNT * BYTES),
                ("destination.packets", COUNT),
                ("destination.bytes", COUNT * BYTES * 2),
            ] {
                let told: u64 = flows.iter().filter_map(|flow| number(flow, field)).sum();
                ensure!(told == wanted, "{field} is {told}, not {wanted}");
            }
            ensure!(at_its_end(&life.events), "the flow is told of late: {:?}", life.actions());
        }
        Ok(())
    }))
}

/// A socket that is closed has no more to say: its flow is told of there and then.
fn at_its_end(events: &[&Value]) -> bool {
    let actions: Vec<_> = events.iter().map(|event| action(event)).collect();
    let place = |wanted| actions.iter().rposition(|&action| action == wanted);
    // Sockets that a process leaves behind are closed after its end was seen.
    matches!((place("flow"), place("end")), (Some(flow), Some(end)) if flow.abs_diff(end) == 1)
}
