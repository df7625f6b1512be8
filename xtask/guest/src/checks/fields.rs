//! Compares every field of a known process's events with the truth.

use std::fmt::Display;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wanglou_testkit::{event, field, number};

use super::known::Known;
use crate::held;
use crate::report::{Verdict, check, passed};

/// One result a field.
pub(crate) fn compare(backend: &str, known: &Known, events: &[Value]) {
    let about = |what: &str| Case { backend, group: format!("{backend}: {what}"), known, events };
    about("executable, arguments, directory").image();
    about("identity, parent, session").identity();
    about("credentials").credentials();
    about("terminal, namespaces, cgroup").place();
    about("exit code, signal, CPU time").ending();
}

struct Case<'a> {
    backend: &'a str,
    group: String,
    known: &'a Known,
    events: &'a [Value],
}

impl Case<'_> {
    /// What was executed.
    fn image(&self) {
        let facts = &self.known.facts;
        let executable = facts.exe.to_string_lossy();
        let mut args = vec![executable.to_string()];
        args.extend(held::arguments().iter().map(|arg| arg.to_string_lossy().into_owned()));
        self.equal("exec", "process.executable", executable);
        self.equal("exec", "process.working_directory", facts.cwd.to_string_lossy());
        self.same("exec", "process.args_count", &json!(args.len()));
        self.same("exec", "process.args", &json!(args));
        self.equal("exec", "process.name", &facts.comm);
    }

    /// Which process it is, and whose.
    fn identity(&self) {
        let Known { facts, host_id, boot_id, pid, .. } = self.known;
        let mut hash = Sha256::new();
        hash.update(format!("{host_id}\0{boot_id}\0"));
        hash.update(pid.to_le_bytes());
        hash.update(facts.start_ticks.to_le_bytes());
        let entity = URL_SAFE_NO_PAD.encode(&hash.finalize()[..12]);
        for action in ["fork", "exec", "end"] {
            self.equal(action, "process.entity_id", &entity);
        }
        self.number("fork", "process.parent.pid", facts.ppid);
        self.number("exec", "process.parent.pid", facts.ppid);
        match facts.session {
            // That of the kernel's first process, which leads none: nobody has called setsid since.
            0 => self.none("exec", "process.session_leader"),
            leader => self.number("exec", "process.session_leader.pid", leader),
        }
    }

    fn credentials(&self) {
        let facts = &self.known.facts;
        self.equal("exec", "user.id", facts.uid[0]);
        self.equal("exec", "user.effective.id", facts.uid[1]);
        self.equal("exec", "group.id", facts.gid[0]);
    }

    /// Terminal, namespaces, cgroup.
    fn place(&self) {
        let facts = &self.known.facts;
        match facts.tty {
            Some((major, minor)) => {
                self.number("exec", "process.tty.char_device.major", major);
                self.number("exec", "process.tty.char_device.minor", minor);
            }
            None => self.none("exec", "process.tty"),
        }
        for (kind, inode) in ["pid", "mnt", "net"].iter().zip(facts.namespaces) {
            self.same("exec", &format!("wanglou.namespaces.{kind}"), &json!(inode));
        }
        if let Some(cgroup) = self.known.cgroup {
            self.same("exec", "wanglou.cgroup.id", &json!(cgroup));
        }
    }

    fn ending(&self) {
        match self.known.signal {
            Some(signal) => {
                self.equal("end", "process.signal", signal);
                self.none("end", "process.exit_code");
            }
            None => {
                self.number("end", "process.exit_code", held::EXIT_CODE);
                self.none("end", "process.signal");
                self.cpu();
            }
        }
    }

    /// It computed for a known time, on a machine that may have given it less than that.
    fn cpu(&self) {
        check(&self.group, &self.name("end", "process.cpu_ns"), || {
            let used = number(self.one("end")?, "process.cpu_ns");
            if used.is_none() && self.backend == "cn_proc" {
                return Ok(Verdict::Absent("a process that has ended is not in /proc".to_owned()));
            }
            let used = used.context("absent")?;
            let wall = held::CPU.as_nanos() as u64;
            ensure!(used > wall / 4 && used < wall * 20, "{used} ns, computed for {wall} ns");
            passed()
        });
    }

    fn equal(&self, action: &str, path: &str, wanted: impl Display) {
        self.same(action, path, &json!(wanted.to_string()));
    }

    fn number(&self, action: &str, path: &str, wanted: impl Into<u64>) {
        self.same(action, path, &json!(wanted.into()));
    }

    fn same(&self, action: &str, path: &str, wanted: &Value) {
        check(&self.group, &self.name(action, path), || {
            match field(self.one(action)?, path) {
                None => bail!("absent, should be {wanted}"),
                Some(seen) => ensure!(seen == wanted, "{seen}, should be {wanted}"),
            }
            passed()
        });
    }

    fn none(&self, action: &str, path: &str) {
        check(&self.group, &self.name(action, path), || {
            let seen = field(self.one(action)?, path);
            ensure!(seen.is_none(), "{seen:?}, should be absent");
            passed()
        });
    }

    fn name(&self, action: &str, path: &str) -> String {
        let way = if self.known.signal.is_some() { "killed" } else { "exits" };
        format!("{action} {path} ({way})")
    }

    fn one(&self, action: &str) -> Result<&Value> {
        let mut events = self.events.iter().filter(|line| event::action(line) == action);
        let first = events.next().with_context(|| format!("no {action}"))?;
        ensure!(events.next().is_none(), "more than one {action}");
        Ok(first)
    }
}
