//! As many connections as two cores can make: each of them is told of by both its ends, with the
//! process that has it and exactly the bytes that were sent.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    Watch,
    connections::{Counts, Load, Said},
    event::{action, pid, text},
    lock, number, root_or_skip,
};

const SERVERS: u64 = 3;
const LOAD: Load = Load { total: 20_000, servers: SERVERS, clients: 4, null: false, spread: false };

#[test]
fn every_connection_is_told_of() -> Result<()> {
    all_are_told_of(LOAD)
}

/// Softirqs that interrupt a probe change states too.
#[test]
fn every_connection_is_told_of_when_packets_come_from_another_cpu() -> Result<()> {
    all_are_told_of(Load { spread: true, ..LOAD })
}

#[test]
fn every_connection_is_told_of_when_nobody_asks_who_calls() -> Result<()> {
    all_are_told_of(Load { null: true, ..LOAD })
}

fn all_are_told_of(load: Load) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
    let said = load.run()?.said;
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "the sensor ended with {}", capture.status);
    let audit = capture.audit()?;
    // Only ends are ever lost, and only to the kernel that skips programs inside one another.
    let lost = audit.dropped_by("recursion", "disconnect_received");
    ensure!(audit.dropped_total() == lost, "dropped: {:?}", audit.dropped);
    ensure!(load.spread || lost == 0, "dropped: {:?}", audit.dropped);

    let mut told = Told::default();
    for line in capture.lines()? {
        told.line(&line?, &said, load)?;
    }
    told.close(&said, load, lost)?;
    println!(
        "{} ns of sensor CPU for each of {} events, {} of {} owners learnt late, peak {} kB",
        capture.cpu.as_nanos() / u128::from(told.events),
        told.events,
        told.late,
        load.total,
        capture.memory.peak_kb
    );
    Ok(())
}

/// What the events say, to be compared with what the processes say.
#[derive(Default)]
struct Told {
    events: u64,
    begun: HashMap<(u32, u16), u32>,
    over: Counts,
    late: u64,
}

impl Told {
    fn line(&mut self, event: &Value, said: &Counts, load: Load) -> Result<()> {
        let Some(pid) = pid(event).filter(|pid| said.keys().any(|said| said.pid == *pid)) else {
            return Ok(());
        };
        let port = |end: &str| -> Result<u16> {
            let port = number(event, &format!("{end}.port")).with_context(|| format!("{event}"))?;
            Ok(port.try_into()?)
        };
        match action(event) {
            "connection_attempted" | "connection_accepted" => {
                *self.begun.entry((pid, port("source")?)).or_default() += 1;
                ensure!(text(event, "event.outcome") == Some("success"), "no success: {event}");
                let late = text(event, "wanglou.owner");
                self.late += u64::from(late.is_some());
                ensure!(
                    load.null || load.spread || late.is_none(),
                    "an owner learnt late: {event}"
                );
            }
            "disconnect_received" => {
                let bytes = |end: &str| {
                    number(event, &format!("{end}.bytes")).with_context(|| format!("{event}"))
                };
                let (mut sent, mut received) = (bytes("source")?, bytes("destination")?);
                if text(event, "network.direction") == Some("ingress") {
                    (sent, received) = (received, sent);
                }
                let over = Said { pid, port: port("source")?, sent, received };
                *self.over.entry(over).or_default() += 1;
            }
            _ => return Ok(()),
        }
        self.events += 1;
        Ok(())
    }

    fn close(&mut self, said: &Counts, load: Load, lost: u64) -> Result<()> {
        let over = self.over.values().sum::<u32>();
        let mut missing = 0;
        for (said, times) in said {
            let told = self.over.remove(said).unwrap_or_default();
            ensure!(told <= *times, "{said:?} was told of {told} times, not {times}");
            missing += u64::from(times - told);
        }
        // The last connection of each server told it to end.
        self.over.retain(|over, _| over.sent != 0);
        ensure!(self.over.is_empty(), "told of what nobody did: {:?}", self.over);
        ensure!(missing <= lost, "{missing} ends are missing, {lost} in the books");
        let begun: u32 = self.begun.values().sum();
        let wanted = load.total * 2 + load.servers;
        ensure!(u64::from(begun) == wanted, "{begun} beginnings, expected {wanted}");
        // One more end of each server's last connection belongs to a process that is not listed.
        let ends = u64::from(over) + lost;
        let all = wanted..=wanted + load.servers;
        ensure!(all.contains(&ends), "{over} ends and {lost} lost, expected {all:?}");
        Ok(())
    }
}
