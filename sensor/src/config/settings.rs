//! Every setting. One more is a field of [`Config`] and an entry here.

use std::path::PathBuf;

use wanglou_daemon::config::values::{
    absolute, list, name, named, none_or, one_of, quoted, variant,
};
use wanglou_daemon::config::{self, Effective, Problem, Raw};

use super::{Config, conflict};
use crate::action::Category;
use crate::container::MAX_SOCKETS;
use crate::control::{Endpoint, MAX_ENDPOINTS};
use crate::filter::{Filter, Rule};
use crate::kernel::{ARGS_STEPS, MAX_LIMIT, MAX_RING_BYTES, MIN_RING_BYTES};
use crate::log;
use crate::module::Drill;
use crate::output::{Destination, MAX_QUEUE_BYTES, MIN_QUEUE_BYTES, Selection};
use crate::telemetry::Telemetry;

type Setting = config::Setting<Config>;

impl config::Config for Config {
    const PROGRAM: &'static str = log::PROGRAM;
    const FILE: &'static str = "/etc/wanglou/sensor.toml";
    const SETTINGS: &'static [&'static [Setting]] =
        &[SETTINGS, config::of_log(), config::of_telemetry(), HEAP_ACCUMULATED];
    const LATER: &'static str = "by a new worker";

    fn log(&self) -> &log::Settings {
        &self.log
    }

    fn log_mut(&mut self) -> &mut log::Settings {
        &mut self.log
    }

    fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    fn telemetry_mut(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    /// Modules begin and end while the others go on, if their probes are there.
    fn is_at_once(path: &str, new: &Self, worker: &Self) -> bool {
        match path {
            "sensor.events" => new.events.iter().all(|event| worker.events.contains(event)),
            // Whether there is a fleet decides whether that is an output.
            "control.endpoints" => {
                let has_uplink = |of: &Self| of.outputs.has(Destination::Uplink);
                has_uplink(new) == has_uplink(worker)
            }
            _ => AT_ONCE.contains(&path),
        }
    }

    fn conflicts(effective: &Effective<Self>, problems: &mut Vec<Problem>) {
        conflict::find(effective, problems);
    }

    fn faults(&self) -> Vec<String> {
        self.control.faults()
    }
}

/// Those that count at once when they change; for all others a new worker is started, unless it is told of
/// fewer events.
const AT_ONCE: &[&str] = &[
    "telemetry.listen",
    "telemetry.allow_remote",
    "control.certificate",
    "control.key",
    "control.authorities",
    "control.stop_keys",
    "control.operator_keys",
    "uplink.spool_bytes",
    "uplink.spool_seconds",
    "uplink.bytes_per_second",
    "log.level",
    "log.to",
    "log.directory",
    "log.file_bytes",
    "sensor.spread_seconds",
    "sensor.state_directory",
    "budget.cpu_percent",
    "budget.memory_bytes",
    "budget.samples",
    "budget.cooldown_seconds",
];

/// In the order in which they are shown.
const SETTINGS: &[Setting] = &[
    Setting {
        path: "sensor.backend",
        set: |to, raw| raw.text(variant).map(|value| to.backend = value),
        show: |of| quoted(name(&of.backend)),
    },
    Setting {
        path: "sensor.events",
        set: |to, raw| raw.list(',', category).map(|value| to.events = value),
        show: |of| list(of.events.iter().map(|category| category.name())),
    },
    Setting {
        path: "sensor.ring_bytes",
        set: |to, raw| ring_bytes(raw).map(|value| to.sizes.ring_bytes = value),
        show: |of| of.sizes.ring_bytes.to_string(),
    },
    Setting {
        path: "sensor.args_bytes",
        set: |to, raw| args_bytes(raw).map(|value| to.sizes.args_bytes = value),
        show: |of| of.sizes.args_bytes.to_string(),
    },
    Setting {
        path: "sensor.spread_seconds",
        set: |to, raw| raw.number(0..=3600).map(|value| to.spread_seconds = value),
        show: |of| of.spread_seconds.to_string(),
    },
    Setting {
        path: "sensor.state_directory",
        set: |to, raw| raw.text(absolute).map(|value| to.state_directory = value),
        show: |of| quoted(of.state_directory.display()),
    },
    Setting {
        path: "process.cgroup_limit",
        set: |to, raw| raw.number(0..=MAX_LIMIT).map(|value| to.process_events_limit = value),
        show: |of| of.process_events_limit.to_string(),
    },
    Setting {
        path: "network.include_loopback",
        set: |to, raw| raw.switch().map(|value| to.network.loopback = value),
        show: |of| of.network.loopback.to_string(),
    },
    Setting {
        path: "network.filter",
        set: |to, raw| filter(raw).map(|value| to.network.filter = value),
        show: |of| list(of.network.filter.rules()),
    },
    Setting {
        path: "network.process_limit",
        set: |to, raw| raw.number(0..=MAX_LIMIT).map(|value| to.network.limits.process = value),
        show: |of| of.network.limits.process.to_string(),
    },
    Setting {
        path: "network.cgroup_limit",
        set: |to, raw| raw.number(0..=MAX_LIMIT).map(|value| to.network.limits.cgroup = value),
        show: |of| of.network.limits.cgroup.to_string(),
    },
    Setting {
        path: "container.cri_sockets",
        set: |to, raw| sockets(raw).map(|value| to.runtimes.cri = value),
        show: |of| list(of.runtimes.cri.iter().map(|path| path.display())),
    },
    Setting {
        path: "container.docker_socket",
        set: |to, raw| raw.text(file).map(|value| to.runtimes.docker = value),
        show: |of| quoted(of.runtimes.docker.display()),
    },
    Setting {
        path: "modules.process.events_per_second",
        set: |to, raw| rate(raw).map(|value| to.modules.process.events_per_second = value),
        show: |of| of.modules.process.events_per_second.to_string(),
    },
    Setting {
        path: "modules.process.errors_per_second",
        set: |to, raw| rate(raw).map(|value| to.modules.process.errors_per_second = value),
        show: |of| of.modules.process.errors_per_second.to_string(),
    },
    Setting {
        path: "modules.network.events_per_second",
        set: |to, raw| rate(raw).map(|value| to.modules.network.events_per_second = value),
        show: |of| of.modules.network.events_per_second.to_string(),
    },
    Setting {
        path: "modules.network.errors_per_second",
        set: |to, raw| rate(raw).map(|value| to.modules.network.errors_per_second = value),
        show: |of| of.modules.network.errors_per_second.to_string(),
    },
    Setting {
        path: "modules.drill",
        set: |to, raw| raw.text(drill).map(|value| to.modules.drill = value),
        show: |of| quoted(of.modules.drill.map_or(String::new(), |drill| drill.to_string())),
    },
    Setting {
        path: "output.stdout.enabled",
        set: |to, raw| raw.switch().map(|value| to.outputs.is_stdout_on = value),
        show: |of| of.outputs.is_stdout_on.to_string(),
    },
    Setting {
        path: "output.stdout.events",
        set: |to, raw| selection(raw).map(|value| to.outputs.stdout.events = value),
        show: |of| list(of.outputs.stdout.events.names()),
    },
    Setting {
        path: "output.stdout.queue_bytes",
        set: |to, raw| queue_bytes(raw).map(|value| to.outputs.stdout.queue_bytes = value),
        show: |of| of.outputs.stdout.queue_bytes.to_string(),
    },
    Setting {
        path: "output.stdout.events_per_second",
        set: |to, raw| rate(raw).map(|value| to.outputs.stdout.events_per_second = value),
        show: |of| of.outputs.stdout.events_per_second.to_string(),
    },
    Setting {
        path: "output.file.path",
        set: |to, raw| raw.text(file).map(|value| to.outputs.file.path = value),
        show: |of| quoted(of.outputs.file.path.display()),
    },
    Setting {
        path: "output.file.events",
        set: |to, raw| selection(raw).map(|value| to.outputs.file.intake.events = value),
        show: |of| list(of.outputs.file.intake.events.names()),
    },
    Setting {
        path: "output.file.queue_bytes",
        set: |to, raw| queue_bytes(raw).map(|value| to.outputs.file.intake.queue_bytes = value),
        show: |of| of.outputs.file.intake.queue_bytes.to_string(),
    },
    Setting {
        path: "output.file.events_per_second",
        set: |to, raw| rate(raw).map(|it| to.outputs.file.intake.events_per_second = it),
        show: |of| of.outputs.file.intake.events_per_second.to_string(),
    },
    Setting {
        path: "output.file.max_bytes",
        set: |to, raw| raw.number(1 << 20..=1 << 40).map(|it| to.outputs.file.max_bytes = it),
        show: |of| of.outputs.file.max_bytes.to_string(),
    },
    Setting {
        path: "output.file.max_age_seconds",
        set: |to, raw| raw.number(0..=MAX_AGE).map(|it| to.outputs.file.max_age_seconds = it),
        show: |of| of.outputs.file.max_age_seconds.to_string(),
    },
    Setting {
        path: "output.file.keep",
        set: |to, raw| raw.number(0..=10_000).map(|value| to.outputs.file.keep = value),
        show: |of| of.outputs.file.keep.to_string(),
    },
    Setting {
        path: "output.file.compression",
        set: |to, raw| raw.text(variant).map(|value| to.outputs.file.compression = value),
        show: |of| quoted(name(&of.outputs.file.compression)),
    },
    Setting {
        path: "output.uplink.enabled",
        set: |to, raw| raw.switch().map(|value| to.outputs.is_uplink_on = value),
        show: |of| of.outputs.is_uplink_on.to_string(),
    },
    Setting {
        path: "output.uplink.events",
        set: |to, raw| selection(raw).map(|value| to.outputs.uplink.events = value),
        show: |of| list(of.outputs.uplink.events.names()),
    },
    Setting {
        path: "output.uplink.queue_bytes",
        set: |to, raw| queue_bytes(raw).map(|value| to.outputs.uplink.queue_bytes = value),
        show: |of| of.outputs.uplink.queue_bytes.to_string(),
    },
    Setting {
        path: "output.uplink.events_per_second",
        set: |to, raw| rate(raw).map(|value| to.outputs.uplink.events_per_second = value),
        show: |of| of.outputs.uplink.events_per_second.to_string(),
    },
    Setting {
        path: "uplink.spool_bytes",
        set: |to, raw| raw.number(4 << 20..=1 << 40).map(|value| to.uplink.spool_bytes = value),
        show: |of| of.uplink.spool_bytes.to_string(),
    },
    Setting {
        path: "uplink.spool_seconds",
        set: |to, raw| raw.number(1..=MAX_AGE).map(|value| to.uplink.spool_seconds = value),
        show: |of| of.uplink.spool_seconds.to_string(),
    },
    Setting {
        path: "uplink.bytes_per_second",
        set: |to, raw| raw.number(0..=1 << 40).map(|value| to.uplink.bytes_per_second = value),
        show: |of| of.uplink.bytes_per_second.to_string(),
    },
    Setting {
        path: "budget.cpu_percent",
        set: |to, raw| raw.number(0.1..=10_000.0).map(|value| to.budget.cpu_percent = value),
        show: |of| of.budget.cpu_percent.to_string(),
    },
    Setting {
        path: "budget.memory_bytes",
        set: |to, raw| raw.number(MIN_MEMORY..=MAX_MEMORY).map(|it| to.budget.memory_bytes = it),
        show: |of| of.budget.memory_bytes.to_string(),
    },
    Setting {
        path: "budget.samples",
        set: |to, raw| raw.number(1..=3600).map(|value| to.budget.samples = value),
        show: |of| of.budget.samples.to_string(),
    },
    Setting {
        path: "budget.cooldown_seconds",
        set: |to, raw| raw.number(1..=86_400).map(|value| to.budget.cooldown_seconds = value),
        show: |of| of.budget.cooldown_seconds.to_string(),
    },
    Setting {
        path: "limits.memory_bytes",
        set: |to, raw| none_or(raw, MIN_LIMIT..=MAX_MEMORY).map(|it| to.limits.memory_bytes = it),
        show: |of| of.limits.memory_bytes.to_string(),
    },
    Setting {
        path: "limits.cpu_percent",
        set: |to, raw| none_or(raw, 1.0..=10_000.0).map(|value| to.limits.cpu_percent = value),
        show: |of| of.limits.cpu_percent.to_string(),
    },
    Setting {
        path: "control.endpoints",
        set: |to, raw| {
            let endpoints = endpoints(raw)?;
            to.outputs.is_joined = !endpoints.is_empty();
            to.control.endpoints = endpoints;
            Ok(())
        },
        show: |of| list(&of.control.endpoints),
    },
    Setting {
        path: "control.certificate",
        set: |to, raw| raw.text(file).map(|value| to.control.certificate = value),
        show: |of| quoted(of.control.certificate.display()),
    },
    Setting {
        path: "control.key",
        set: |to, raw| raw.text(file).map(|value| to.control.key = value),
        show: |of| quoted(of.control.key.display()),
    },
    Setting {
        path: "control.authorities",
        set: |to, raw| raw.text(file).map(|value| to.control.authorities = value),
        show: |of| quoted(of.control.authorities.display()),
    },
    Setting {
        path: "control.stop_keys",
        set: |to, raw| files(raw).map(|value| to.control.stop_keys = value),
        show: |of| list(of.control.stop_keys.iter().map(|path| path.display())),
    },
    Setting {
        path: "control.operator_keys",
        set: |to, raw| files(raw).map(|value| to.control.operator_keys = value),
        show: |of| list(of.control.operator_keys.iter().map(|path| path.display())),
    },
];

const HEAP_ACCUMULATED: &[Setting] = &[Setting {
    path: "telemetry.heap_accumulated",
    set: |to, raw| raw.switch().map(|value| to.heap_accumulated = value),
    show: |of| of.heap_accumulated.to_string(),
}];

/// Less than the sensor needs at rest would only ever trip.
const MIN_MEMORY: u64 = 16 << 20;
const MAX_MEMORY: u64 = 1 << 40;
/// Ten years, seconds.
const MAX_AGE: u64 = 10 * 365 * 86_400;
/// What worker and loader need together while probes are loaded.
const MIN_LIMIT: u64 = 64 << 20;

fn selection(raw: &Raw) -> Result<Selection, String> {
    let names = raw.list(',', |name| Ok(name.to_owned()))?;
    Selection::named(names.iter().map(String::as_str))
        .map_err(|name| format!("{name:?}: {}", one_of(Selection::every_name())))
}

fn queue_bytes(raw: &Raw) -> Result<usize, String> {
    raw.number(MIN_QUEUE_BYTES..=MAX_QUEUE_BYTES)
}

/// A number in a second, or 0 for any.
fn rate(raw: &Raw) -> Result<u64, String> {
    raw.number(0..=MAX_LIMIT.into())
}

fn drill(text: &str) -> Result<Option<Drill>, String> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Ok(PathBuf::new());
    }
    let is_file = !text.ends_with('/');
    if is_file { absolute(text) } else { Err("it has to be a file".to_owned()) }
}

fn files(raw: &Raw) -> Result<Vec<PathBuf>, String> {
    raw.list(
        ',',
        |text| if text.is_empty() { Err("it has to be a file".to_owned()) } else { file(text) },
    )
}

fn sockets(raw: &Raw) -> Result<Vec<PathBuf>, String> {
    let sockets = files(raw)?;
    if sockets.len() > MAX_SOCKETS {
        return Err(format!("at most {MAX_SOCKETS} are asked"));
    }
    Ok(sockets)
}

fn endpoints(raw: &Raw) -> Result<Vec<Endpoint>, String> {
    let endpoints = raw.list(',', |text| text.parse::<Endpoint>().map_err(|it| it.to_string()))?;
    if endpoints.len() > MAX_ENDPOINTS {
        return Err(format!("at most {MAX_ENDPOINTS} are tried"));
    }
    Ok(endpoints)
}

fn category(text: &str) -> Result<Category, String> {
    named(text, Category::ALL, Category::name)
}

fn ring_bytes(raw: &Raw) -> Result<u32, String> {
    let bytes: u32 = raw.number(MIN_RING_BYTES..=MAX_RING_BYTES)?;
    let is_power = bytes.is_power_of_two();
    is_power.then_some(bytes).ok_or_else(|| "it has to be a power of two".to_owned())
}

fn args_bytes(raw: &Raw) -> Result<u32, String> {
    let bytes = raw.number(0..=u32::MAX)?;
    let is_step = ARGS_STEPS.contains(&bytes);
    is_step.then_some(bytes).ok_or_else(|| one_of(ARGS_STEPS))
}

/// Rules have commas and spaces: in variables and flags, semicolons stand between them.
fn filter(raw: &Raw) -> Result<Filter, String> {
    let rules = raw.list(';', |text| text.parse::<Rule>().map_err(|error| error.to_string()))?;
    Filter::new(rules).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use wanglou_daemon::config::{Applied, Change, Config as _, changes, is_behind};

    use super::*;

    #[test]
    fn only_what_is_different_is_told() {
        let old = Config::default();
        let mut new = old.clone();
        assert_eq!(changes(&old, &new, &old), []);
        new.budget.cpu_percent = 3.0;
        new.network.loopback = true;
        let told: Vec<_> = changes(&old, &new, &old).iter().map(Change::to_string).collect();
        let expected = [
            "network.include_loopback false -> true by a new worker",
            "budget.cpu_percent 5 -> 3 at once",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_worker_takes_what_it_has_been_without() {
        let full = Config::default();
        let less = Config { events: vec![Category::Process], ..full.clone() };
        assert!(!is_behind(&full, &less), "it ends a module");
        assert!(is_behind(&less, &full), "it has no probes for it");
        let back = changes(&less, &full, &full);
        assert_eq!(back[0].applied, Applied::AtOnce, "it had it before");
    }

    #[test]
    fn what_is_applied_at_once_is_a_setting() {
        let paths: Vec<_> = Config::SETTINGS.iter().copied().flatten().map(|it| it.path).collect();
        for path in AT_ONCE {
            assert!(paths.contains(path), "{path}");
        }
    }
}
