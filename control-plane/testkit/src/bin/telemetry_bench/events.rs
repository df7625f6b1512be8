//! Events like those of a build: a process is forked, executes a compiler with arguments of its own, and ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use wanglou_api::event::v1::{
    Boot, Cgroup, EffectiveGroup, EffectiveUser, Event, EventMeta, Group, Host as HostView,
    Namespaces, ParentProcess, Process, ProcessRef, Run, User, Wanglou,
};

/// A host that builds something.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    sequence: u64,
    now: Duration,
}

impl Host {
    pub(crate) fn new(number: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { name: Self::name(number), sequence: 0, now }
    }

    pub(crate) fn name(number: usize) -> String {
        format!("{number:032x}")
    }

    /// The next events.
    pub(crate) fn next(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.one()).collect()
    }

    fn one(&mut self) -> Event {
        self.sequence += 1;
        self.now += Duration::from_micros(300);
        let (process, step) = (self.sequence / 3, self.sequence % 3);
        let action = ["fork", "exec", "end"][step as usize];
        let timestamp =
            Timestamp { seconds: self.now.as_secs() as i64, nanos: self.now.subsec_nanos() as i32 };
        Event {
            timestamp: Some(timestamp),
            event: Some(EventMeta {
                kind: Some("event".to_owned()),
                category: vec!["process".to_owned()],
                r#type: vec![if step == 2 { "end" } else { "start" }.to_owned()],
                action: Some(action.to_owned()),
                sequence: Some(self.sequence),
                provider: Some("ebpf".to_owned()),
                ..EventMeta::default()
            }),
            host: Some(HostView {
                id: Some(self.name.clone()),
                name: Some("build-17".to_owned()),
                boot: Some(Boot { id: Some("8f0b3a3e-0000-4000-8000-000000000001".to_owned()) }),
            }),
            process: Some(self.process(process, step, timestamp)),
            user: Some(User {
                id: Some("1000".to_owned()),
                effective: Some(EffectiveUser { id: Some("1000".to_owned()) }),
                ..User::default()
            }),
            group: Some(Group {
                id: Some("1000".to_owned()),
                effective: Some(EffectiveGroup { id: Some("1000".to_owned()) }),
                ..Group::default()
            }),
            wanglou: Some(Wanglou {
                run: Some(Run { id: Some("1".to_owned()) }),
                cgroup: Some(Cgroup { id: Some(4_711) }),
                namespaces: Some(Namespaces {
                    pid: Some(4_026_531_836),
                    mnt: Some(4_026_531_832),
                    net: Some(4_026_531_833),
                }),
                ancestors: (0..5).map(|n| id(n, 7)).collect(),
                ..Wanglou::default()
            }),
            ..Event::default()
        }
    }

    fn process(&self, number: u64, step: u64, start: Timestamp) -> Process {
        let pid = (number % 4_000_000) as u32 + 300;
        let is_exec = step == 1;
        let args = [
            "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
            "-quiet",
            "-I",
            "include",
            "-O2",
            "-o",
            &format!("/tmp/cc{:06x}.s", number.wrapping_mul(0x9e37_79b9)),
            &format!("src/module_{}/part_{}.c", number % 90, number % 1_700),
        ]
        .map(str::to_owned);
        Process {
            pid: Some(pid),
            entity_id: Some(id(number, self.name.len() as u64)),
            name: Some(if step == 0 { "cc" } else { "cc1" }.to_owned()),
            executable: Some(args[0].clone()),
            start: Some(start),
            args_count: is_exec.then_some(args.len() as u64),
            command_line: is_exec.then(|| args.join(" ")),
            working_directory: is_exec.then(|| "/home/build/linux".to_owned()),
            args: if is_exec { args.into() } else { Vec::new() },
            exit_code: (step == 2).then_some(0),
            cpu_ns: (step == 2).then_some(17_000_000 + number % 977),
            max_rss_bytes: (step == 2).then_some(26_000_000),
            parent: Some(ParentProcess {
                pid: Some(pid - 1),
                entity_id: Some(id(number / 20, 9)),
                name: Some("cc".to_owned()),
                executable: Some("/usr/bin/x86_64-linux-gnu-gcc-12".to_owned()),
            }),
            session_leader: Some(ProcessRef { pid: Some(299) }),
            ..Process::default()
        }
    }
}

/// As long as an entity id is, and as hard to compress.
fn id(number: u64, salt: u64) -> String {
    let mixed = (number ^ salt << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}")
}
