//! Every setting. One more is a field of [`Config`] and an entry here.

use std::fmt::Display;

use clap::ValueEnum as _;

use super::Config;
use super::raw::Raw;
use crate::action::Category;
use crate::filter::{Filter, Rule};
use crate::kernel::{ARGS_STEPS, MAX_LIMIT, MAX_RING_BYTES, MIN_RING_BYTES};
use crate::source::Backend;

/// A setting: where it stands, how its value is checked and kept, and how it is written.
pub(super) struct Setting {
    pub(super) path: &'static str,
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), String>,
    pub(super) show: fn(&Config) -> String,
}

/// In the order in which they are shown.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        path: "sensor.backend",
        set: |to, raw| raw.text(backend).map(|value| to.backend = value),
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

fn backend(text: &str) -> Result<Backend, String> {
    let one_of = || one_of(Backend::value_variants().iter().map(name));
    Backend::from_str(text, false).map_err(|_| one_of())
}

fn name(backend: &Backend) -> String {
    backend.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn category(text: &str) -> Result<Category, String> {
    let found = Category::ALL.into_iter().find(|category| category.name() == text);
    found.ok_or_else(|| one_of(Category::ALL.iter().map(|category| category.name())))
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
