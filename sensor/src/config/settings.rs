//! Every setting. One more is a field of [`Config`] and an entry here.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;

use super::Config;
use super::raw::Raw;
use crate::action::Category;
use crate::filter::{Filter, Rule};
use crate::kernel::{ARGS_STEPS, MAX_LIMIT, MAX_RING_BYTES, MIN_RING_BYTES};
use crate::log::{Destination, MAX_FILE_BYTES, MIN_FILE_BYTES};
use crate::module::Drill;
use crate::output::{MAX_QUEUE_BYTES, MIN_QUEUE_BYTES, Selection};

/// A setting: where it stands, how its value is checked and kept, and how it is written.
pub(super) struct Setting {
    pub(super) path: &'static str,
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), String>,
    pub(super) show: fn(&Config) -> String,
}

/// Those that count at once when they change; for all others a new worker is started, unless it is told of
/// fewer events ([`change`](super::change)).
pub(super) const AT_ONCE: &[&str] = &[
    "telemetry.listen",
    "telemetry.allow_remote",
    "log.level",
    "log.to",
    "log.directory",
    "log.file_bytes",
    "sensor.spread_seconds",
    "budget.cpu_percent",
    "budget.memory_bytes",
    "budget.samples",
    "budget.cooldown_seconds",
];

/// In the order in which they are shown.
pub(super) const SETTINGS: &[Setting] = &[
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
        path: "log.level",
        set: |to, raw| raw.text(str::parse).map(|value| to.log.level = value),
        show: |of| quoted(&of.log.level),
    },
    Setting {
        path: "log.to",
        set: |to, raw| raw.text(destination).map(|value| to.log.to = value),
        show: |of| quoted(of.log.to.name()),
    },
    Setting {
        path: "log.directory",
        set: |to, raw| raw.text(absolute).map(|value| to.log.directory = value),
        show: |of| quoted(of.log.directory.display()),
    },
    Setting {
        path: "log.file_bytes",
        set: |to, raw| {
            raw.number(MIN_FILE_BYTES..=MAX_FILE_BYTES).map(|value| to.log.file_bytes = value)
        },
        show: |of| of.log.file_bytes.to_string(),
    },
    Setting {
        path: "telemetry.listen",
        set: |to, raw| raw.text(str::parse).map(|value| to.telemetry.listen = value),
        show: |of| quoted(&of.telemetry.listen),
    },
    Setting {
        path: "telemetry.allow_remote",
        set: |to, raw| raw.switch().map(|value| to.telemetry.allow_remote = value),
        show: |of| of.telemetry.allow_remote.to_string(),
    },
    Setting {
        path: "telemetry.heap_profile",
        set: |to, raw| raw.switch().map(|value| to.telemetry.heap_profile = value),
        show: |of| of.telemetry.heap_profile.to_string(),
    },
    Setting {
        path: "telemetry.heap_accumulated",
        set: |to, raw| raw.switch().map(|value| to.telemetry.heap_accumulated = value),
        show: |of| of.telemetry.heap_accumulated.to_string(),
    },
];

/// Less than the sensor needs at rest would only ever trip.
const MIN_MEMORY: u64 = 16 << 20;
const MAX_MEMORY: u64 = 1 << 40;
/// Ten years, seconds.
const MAX_AGE: u64 = 10 * 365 * 86_400;
/// What worker and loader need together while probes are loaded.
const MIN_LIMIT: u64 = 64 << 20;

/// One of a few words.
fn variant<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| one_of(T::value_variants().iter().map(name)))
}

fn name(variant: &impl ValueEnum) -> String {
    variant.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

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

/// A service has no folder of its own.
fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("it has to begin with /".to_owned()) }
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Ok(PathBuf::new());
    }
    let is_file = !text.ends_with('/');
    if is_file { absolute(text) } else { Err("it has to be a file".to_owned()) }
}

fn category(text: &str) -> Result<Category, String> {
    let found = Category::ALL.into_iter().find(|category| category.name() == text);
    found.ok_or_else(|| one_of(Category::ALL.iter().map(|category| category.name())))
}

fn destination(text: &str) -> Result<Destination, String> {
    let found = Destination::ALL.into_iter().find(|to| to.name() == text);
    found.ok_or_else(|| one_of(Destination::ALL.iter().map(|to| to.name())))
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

/// A number in a range, or 0 for no limit.
fn none_or<T>(raw: &Raw, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display + Default,
{
    raw.number(T::default()..=T::default())
        .or_else(|_| raw.number(range).map_err(|what| format!("{what}, or 0")))
}

/// Rules have commas and spaces: in variables and flags, semicolons stand between them.
fn filter(raw: &Raw) -> Result<Filter, String> {
    let rules = raw.list(';', |text| text.parse::<Rule>().map_err(|error| error.to_string()))?;
    Filter::new(rules).map_err(|error| error.to_string())
}

fn one_of(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    format!("it has to be one of {}", values.join(", "))
}

/// A basic string of TOML.
fn quoted(text: impl Display) -> String {
    let mut quoted = String::from("\"");
    for c in text.to_string().chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn list(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<_> = values.into_iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}
