//! What the sensor says of itself is true, and nobody who asks can harm it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    bins,
    event::{action, field},
    ledger, lock, proc, root_or_skip,
    scratch::Scratch,
    service::{READY, Service, by_run},
    storm, sys,
    telemetry::{self, Answer, Profile, ask, converse, get, profile},
};

const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

#[test]
fn metrics_and_status_agree_with_the_last_ledger() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let (service, address) = start(&["budget.cpu_percent=10000"])?;
    storm::run(2_000, 2)?;
    // Until all is written.
    let until = Instant::now() + PATIENCE;
    let metrics = loop {
        let metrics = metrics(address)?;
        let of = |metric: &str| metrics[&format!("wanglou_sensor_events_{metric}")];
        if of("in_flight{output=\"stdout\"}") == 0.0
            && of("produced_total{output=\"stdout\",action=\"end\"}") >= 2000.0
        {
            break metrics;
        }
        ensure!(Instant::now() < until, "something is under way: {metrics:?}");
        thread::sleep(POLL);
    };
    ensure!(get(address, "/healthz")?.code == 200);
    ensure!(get(address, "/readyz")?.code == 200);
    let status: Value = serde_json::from_slice(&get(address, "/status")?.body)?;
    let (supervisor, worker) = (service.pid(), service.worker()?);
    ensure!(status["worker"]["pid"] == worker && status["ready"] == true, "{status}");
    ensure!(status["worker"]["probes"]["exec"]["attached"] == true, "{status}");
    for module in ["process", "network", "self"] {
        ensure!(status["modules"][module]["state"] == "running", "{status}");
    }
    ensure!(status["modules"]["process"]["events"].as_u64() > Some(0), "{status}");
    ensure!(status["breaker"]["state"] == "closed", "{status}");
    ensure!(status["configuration"]["hash"].as_str().map(str::len) == Some(16), "{status}");
    ensure!(status["configuration"]["places"]["budget.cpu_percent"] == "--set", "{status}");
    for (process, pid) in [("supervisor", supervisor), ("worker", worker)] {
        let of = |what: &str| {
            metrics[&format!("wanglou_sensor_process_{what}{{process=\"{process}\"}}")]
        };
        ensure!(of("resident_memory_bytes") > 1e6, "{process}: {metrics:?}");
        ensure!(of("voluntary_context_switches_total") > 0.0, "{process}: {metrics:?}");
        ensure!(of("cpu_seconds_total") > 0.0, "{process}: {metrics:?}");
        println!("{process} {pid}: {} kB", of("resident_memory_bytes") / 1024.0);
    }

    let (_, lines) = service.stop()?;
    let last = lines.iter().rev().find(|line| action(line) == "ledger").context("no ledger")?;
    for part in ["produced", "delivered"] {
        let told = ledger::counts(field(last, &format!("wanglou.ledger.{part}")))?;
        for action in ["fork", "exec", "end"] {
            let name = format!(
                "wanglou_sensor_events_{part}_total{{output=\"stdout\",action=\"{action}\"}}"
            );
            let (then, end) = (metrics[&name], told[action] as f64);
            // A few more processes of this host may have come since.
            ensure!(then >= 2000.0 && then <= end && end < then + 200.0, "{name}: {then}, {end}");
        }
        ensure!(status["ledgers"]["stdout"][part]["end"].as_u64() >= Some(2000), "{status}");
    }
    Ok(())
}

#[test]
fn it_says_why_it_rests_and_why_it_has_nobody() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let (mut service, address) =
        start(&["budget.cpu_percent=0.8", "budget.samples=3", "budget.cooldown_seconds=4"])?;
    let storm = storm::start(30_000, 2)?;
    service.wait_for("breaker open: ", 1)?;
    let resting = wait_for(address, "/readyz", |it| it.text().contains("at rest"))?;
    ensure!(resting.code == 503 && resting.text().contains("the breaker is open"), "{resting:?}");
    ensure!(get(address, "/healthz")?.code == 200, "a rest is not an illness");
    let metrics = metrics(address)?;
    ensure!(metrics["wanglou_sensor_ready"] == 0.0);
    ensure!(metrics["wanglou_sensor_breaker_state{state=\"open\"}"] == 1.0);
    ensure!(metrics["wanglou_sensor_breaker_trips_total"] >= 1.0);
    ensure!(metrics["wanglou_sensor_breaker_rest_seconds"] <= 4.0);
    let heap = get(address, "/debug/pprof/heap")?;
    ensure!(heap.code == 503, "{heap:?}");
    storm.finish()?;
    service.wait_for("breaker closed: ", 1)?;
    wait_for(address, "/readyz", |it| it.code == 200)?;

    let ready = service.told()?.matches(READY).count();
    sys::kill(service.worker()?, SIGKILL)?;
    service.wait_for(READY, ready + 1)?;
    wait_for(address, "/readyz", |it| it.code == 200)?;
    let (_, lines) = service.stop()?;
    ensure!(by_run(&lines)?.len() >= 3, "no other worker");
    Ok(())
}

#[test]
fn a_profile_of_the_heap_is_what_pprof_reads() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let (service, address) = start(&["telemetry.heap_accumulated=true"])?;
    for process in ["supervisor", "worker"] {
        let path = format!("/debug/pprof/heap?process={process}");
        let first = next_profile(address, &path)?;
        let second = next_profile(address, &path)?;
        // Two snapshots can be compared: the same kinds, in the same order.
        ensure!(first.kinds() == ["inuse_objects", "inuse_space"], "{:?}", first.kinds());
        ensure!(first.kinds() == second.kinds());
        println!("{process}: {} stacks, {} bytes", first.sample.len(), first.total(1));
    }
    let profile = next_profile(address, "/debug/pprof/heap?allocated=true")?;
    let soon = get(address, "/debug/pprof/heap")?;
    ensure!(soon.code == 429, "{soon:?}");
    ensure!(
        profile.kinds() == ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"],
        "{:?}",
        profile.kinds()
    );
    ensure!(!profile.sample.is_empty(), "no samples");
    ensure!(profile.total(1) >= profile.total(3), "less was allocated than is there");
    ensure!(!profile.mapping.is_empty() && !profile.location.is_empty(), "no addresses");
    ensure!(profile.string_table.iter().any(|it| it.ends_with("/wanglou-sensor")), "no program");
    for wrong in ["?process=init", "?allocated=1"] {
        ensure!(get(address, &format!("/debug/pprof/heap{wrong}"))?.code == 400, "{wrong}");
    }
    let other = get(address, "/debug/pprof/heap?process=supervisor&allocated=true")?;
    ensure!(other.code == 404, "{other:?}");
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

/// There is one every two seconds.
fn next_profile(address: SocketAddr, path: &str) -> Result<Profile> {
    thread::sleep(Duration::from_millis(2_100));
    profile(address, path)
}

#[test]
fn nobody_who_asks_can_harm_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let (service, address) = start(&["telemetry.heap_profile=false"])?;
    let worker = service.worker()?;
    let off = get(address, "/debug/pprof/heap")?;
    ensure!(off.code == 404 && off.text().contains("telemetry.heap_profile"), "{off:?}");
    ensure!(get(address, "/")?.code == 404);
    ensure!(get(address, "/debug/pprof/profile")?.code == 404);
    ensure!(ask(address, b"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?.code == 405);
    let head = ask(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
    ensure!(head.code == 200 && head.body.is_empty(), "{head:?}");
    let huge = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    ensure!(ask(address, huge.as_bytes()).map_or(431, |it| it.code) == 431);
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    ensure!(ask(address, many.as_bytes()).map_or(431, |it| it.code) == 431);
    // Garbage is answered or hung up on, soon.
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], &[0; 4096], b"\r\n\r\n\r\n", b"GET"] {
        let code = ask(address, garbage).map_or(400, |it| it.code);
        ensure!(code == 400, "{garbage:?}: {code}");
    }

    // Those who are slow are left, and the others are answered then.
    let slow: Vec<_> = (0..8).map(|_| half_a_request(address)).collect::<Result<_>>()?;
    let began = Instant::now();
    ensure!(get(address, "/healthz")?.code == 200);
    println!("beside slow ones it takes {} ms", began.elapsed().as_millis());
    drop(slow);
    let at_once: Vec<_> =
        (0..50).map(|_| thread::spawn(move || get(address, "/metrics"))).collect();
    for one in at_once {
        let answer = one.join().ok().context("it panicked")??;
        ensure!(answer.code == 200, "{answer:?}");
    }
    ensure!(service.worker()? == worker, "another worker");
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[test]
fn a_socket_is_its_own_while_it_runs() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let scratch = Scratch::new("telemetry")?;
    let path = scratch.join("sensor.sock");
    // One that nobody listens to any more.
    drop(UnixListener::bind(&path)?);
    let setting = format!("telemetry.listen=unix:{}", path.display());
    let service = Service::start(&["sensor.backend=ebpf", &setting])?;
    let there = fs::metadata(&path)?;
    ensure!(there.permissions().mode() & 0o777 == 0o660, "mode {:o}", there.permissions().mode());
    let stream = UnixStream::connect(&path)?;
    let answer = converse(stream, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")?;
    ensure!(answer.code == 200 && answer.text() == "ready\n", "{answer:?}");

    let second = refused(&setting)?;
    ensure!(second.contains("another program does"), "{second}");
    ensure!(fs::metadata(&path)?.ino() == there.ino(), "it was replaced while it was in use");
    service.stop()?;
    ensure!(!fs::exists(&path)?, "the socket is left");
    ensure!(fs::read_dir(scratch.path())?.count() == 0, "something is left");
    fs::write(&path, "a file")?;
    let third = refused(&setting)?;
    ensure!(third.contains("no socket") && fs::read(&path)? == b"a file", "{third}");
    Ok(())
}

#[test]
fn others_are_not_let_in_by_accident() -> Result<()> {
    let told = refused("telemetry.listen=0.0.0.0:0")?;
    ensure!(told.contains("telemetry.allow_remote"), "{told}");
    Ok(())
}

/// What it says when it does not start with a setting: a line.
fn refused(setting: &str) -> Result<String> {
    let mut run = Command::new(bins::sensor()?);
    run.args(["run", "--set", setting]).stdin(Stdio::null());
    let output = run.output()?;
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.lines().count() == 1, "it says: {told}");
    Ok(told)
}

fn start(settings: &[&str]) -> Result<(Service, SocketAddr)> {
    let usual = ["sensor.backend=ebpf", "telemetry.listen=127.0.0.1:0"];
    let service = Service::start(&[&usual, settings].concat())?;
    let address = telemetry::address(&service)?;
    ensure!(proc::children(service.pid()).len() == 1, "not one worker");
    Ok((service, address))
}

fn half_a_request(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHos")?;
    Ok(stream)
}

fn wait_for(address: SocketAddr, path: &str, is: impl Fn(&Answer) -> bool) -> Result<Answer> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = get(address, path)?;
        if is(&answer) {
            return Ok(answer);
        }
        ensure!(Instant::now() < until, "{path}: {answer:?}");
        thread::sleep(POLL);
    }
}

/// Each row and its value; fails unless every line is as `OpenMetrics` has it.
fn metrics(address: SocketAddr) -> Result<BTreeMap<String, f64>> {
    let answer = get(address, "/metrics")?;
    ensure!(answer.code == 200, "{answer:?}");
    let text = answer.text();
    ensure!(text.ends_with("# EOF\n"), "no end: {text}");
    let rows = text.lines().filter(|line| !line.starts_with("# ")).map(|line| {
        let (name, value) = line.rsplit_once(' ').context("no value")?;
        ensure!(name.starts_with("wanglou_sensor_"), "{line}");
        Ok((name.to_owned(), value.parse()?))
    });
    rows.collect()
}
