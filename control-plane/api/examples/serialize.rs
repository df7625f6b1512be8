//! What one exec of everyday size costs to write out: `cargo run --release -p wanglou-api --example serialize`.

use std::hint::black_box;
use std::time::Instant;

use wanglou_api::event::*;

const EVENTS: u32 = 1_000_000;
const ROUNDS: usize = 7;

fn main() {
    let event = exec();
    let mut line = Vec::with_capacity(4096);
    let mut round = || {
        let start = Instant::now();
        for _ in 0..EVENTS {
            line.clear();
            black_box(&event).write_json(&mut line);
        }
        start.elapsed() / EVENTS
    };
    let mut times: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    times.sort();
    println!("{} bytes, {:?} (median of {ROUNDS})", line.len(), times[ROUNDS / 2]);
}

fn exec() -> Event<'static> {
    let start = Some(Timestamp::from_unix_nanos(1_795_340_100_123_450_000));
    let process = Process {
        pid: Some(1_234_567),
        entity_id: Some("pXy0Zk3QmW1u_t5R"),
        name: Some("rustc"),
        executable: Some("/root/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin/rustc"),
        start,
        args: Some(Strings::Nul("rustc\0--crate-name\0wanglou_api\0--edition=2024\0src/lib.rs\0")),
        args_count: Some(5),
        working_directory: Some("/work/main"),
        interactive: Some(true),
        parent: Some(ParentProcess {
            pid: Some(1_234_500),
            entity_id: Some("Qm0Zk3W1pXyu_t5R"),
            name: Some("cargo"),
            executable: Some("/root/.cargo/bin/cargo"),
        }),
        ..Default::default()
    };
    let meta = EventMeta {
        kind: Some("event"),
        category: Some(Strings::Slice(&["process"])),
        r#type: Some(Strings::Slice(&["start"])),
        action: Some("exec"),
        sequence: Some(987_654),
        provider: Some("ebpf"),
        ..Default::default()
    };
    let host = Host {
        id: Some("4c4c4544004a4d10805ac7c04f445332"),
        name: Some("build-17"),
        boot: Some(Boot { id: Some("1d0f6a52-3c1e-4a53-9c4f-0d9d3f8b6f10") }),
    };
    let effective = Some(EffectiveUser { id: Some("0") });
    Event {
        timestamp: start,
        event: Some(meta),
        host: Some(host),
        process: Some(process),
        user: Some(User { id: Some("0"), effective, ..Default::default() }),
        group: Some(Group { id: Some("0"), ..Default::default() }),
        wanglou: Some(Wanglou {
            run: Some(Run { id: Some("8123456789012") }),
            cgroup: Some(Cgroup { id: Some(4711) }),
            ..Default::default()
        }),
        ..Event::default()
    }
}
