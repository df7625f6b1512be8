//! An event with everything in it. The lake's tests have it too.

use std::collections::BTreeMap;

use wanglou_api::event::*;

/// Lends it: a view owns nothing.
pub(crate) fn with_full_event<T>(use_it: impl FnOnce(&Event<'_>) -> T) -> T {
    let counts = BTreeMap::from([("exec".to_owned(), 2), ("fork".to_owned(), 3)]);
    let causes = BTreeMap::from([
        ("queue_full".to_owned(), BTreeMap::from([("end".to_owned(), 1)])),
        ("ring_full".to_owned(), counts.clone()),
    ]);
    let event = Event {
        timestamp: at(5),
        event: Some(meta()),
        host: Some(Host {
            id: Some("4c4c4544004a4d10805ac7c04f445332"),
            name: Some("build-17"),
            boot: Some(Boot { id: Some("1d0f6a52-3c1e-4a53-9c4f-0d9d3f8b6f10") }),
        }),
        process: Some(process()),
        user: Some(User {
            id: Some("1000"),
            effective: Some(EffectiveUser { id: Some("0") }),
            changes: Some(UserChanges {
                id: Some("0"),
                effective: Some(EffectiveUser { id: Some("0") }),
            }),
        }),
        group: Some(Group {
            id: Some("1000"),
            effective: Some(EffectiveGroup { id: Some("50") }),
            changes: Some(GroupChanges {
                id: Some("50"),
                effective: Some(EffectiveGroup { id: Some("50") }),
            }),
        }),
        source: Some(Endpoint {
            ip: Some("2001:db8::7"),
            port: Some(50_606),
            bytes: Some(78),
            packets: Some(2),
        }),
        destination: Some(Endpoint {
            ip: Some("2001:db8::1"),
            port: Some(443),
            bytes: Some(9),
            packets: Some(1),
        }),
        network: Some(Network {
            transport: Some("tcp"),
            r#type: Some("ipv6"),
            direction: Some("egress"),
            community_id: Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            retransmits: Some(1),
        }),
        error: Some(Error { code: Some("ECONNRESET") }),
        log: Some(Log { level: Some("error") }),
        message: Some("the worker was ended by signal 9: another one in 100ms"),
        container: Some(Container {
            id: Some("4f1bd0f2a1c7be0f4c5f3a0e6a6b7c8d9e0f11223344556677889900aabbccdd"),
            name: Some("web"),
            image: Some(ContainerImage { name: Some("registry.example/web:1.2") }),
            runtime: Some("containerd"),
        }),
        orchestrator: Some(Orchestrator {
            namespace: Some("shop"),
            resource: Some(OrchestratorResource {
                name: Some("web-7d4b9c6f5-x2x7k"),
                id: Some("8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b11"),
                label: Some(Strings::Slice(&["app=web", "tier=front"])),
            }),
        }),
        wanglou: Some(Wanglou {
            run: Some(Run { id: Some("8123456789012") }),
            cgroup: Some(Cgroup { id: Some(4711) }),
            namespaces: Some(Namespaces {
                pid: Some(4_026_531_836),
                mnt: Some(4_026_531_841),
                net: Some(4_026_531_840),
            }),
            executable: Some(ExecutableMarks { deleted: Some(true), memfd: Some(true) }),
            script: Some("./configure"),
            ancestors: Some(Strings::Slice(&["Qm0Zk3W1pXyu_t5R", "AbC-dEf_0123456z"])),
            incomplete: Some(true),
            recovered: Some(true),
            truncated: Some(Strings::Slice(&["process.working_directory"])),
            ledger: Some(Ledger {
                produced: Some(&counts),
                delivered: Some(&counts),
                dropped: Some(&causes),
                in_flight: Some(1),
            }),
            owner: Some("first_touch"),
            tcp: Some(Tcp {
                end: Some("reset"),
                closed_by: Some("destination"),
                half_closed: Some(1_000_000),
            }),
            container_labels: Some(Strings::Slice(&["com.example.tier=web"])),
            gap: Some(Gap { lost: Some(&causes), recovered: Some(&counts), unrecovered: Some(1) }),
        }),
    };
    use_it(&event)
}

fn meta() -> EventMeta<'static> {
    EventMeta {
        kind: Some("event"),
        category: Some(Strings::Slice(&["process"])),
        r#type: Some(Strings::Slice(&["start"])),
        action: Some("exec"),
        sequence: Some(u64::MAX),
        provider: Some("ebpf"),
        start: at(1),
        end: at(2),
        original_bytes: Some(Strings::Slice(&["process.args"])),
        outcome: Some("success"),
        duration: Some(12_000_000),
        code: Some("WL1001"),
        severity: Some(3),
    }
}

fn process() -> Process<'static> {
    Process {
        pid: Some(4_194_303),
        entity_id: Some("pXy0Zk3QmW1u_t5R"),
        name: Some("dash"),
        executable: Some("/usr/bin/dash"),
        start: at(3),
        end: at(4),
        args: Some(Strings::Nul("/bin/sh\0\0two\nlines\0\"quoted\" \\x1b\0")),
        args_count: Some(4),
        args_truncated: Some(true),
        args_bytes: Some(131_072),
        args_omitted: Some(ArgsOmitted { index: Some(2), bytes: Some(98_304) }),
        command_line: Some("/bin/sh '' two lines"),
        working_directory: Some("/root"),
        interactive: Some(true),
        exit_code: Some(-1),
        signal: Some("SIGKILL"),
        cpu_ns: Some(1_234_567),
        max_rss_bytes: Some(8 << 20),
        vpid: Some(7),
        parent: Some(ParentProcess {
            pid: Some(812),
            entity_id: Some("Qm0Zk3W1pXyu_t5R"),
            name: Some("make"),
            executable: Some("/usr/bin/make"),
        }),
        real_parent: Some(ProcessRef { pid: Some(1) }),
        session_leader: Some(ProcessRef { pid: Some(800) }),
        tty: Some(Tty { char_device: Some(CharDevice { major: Some(136), minor: Some(2) }) }),
    }
}

fn at(nanos: u64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_nanos(1_795_340_100_000_000_000 + nanos))
}
