use super::values::{absolute, named, quoted};
use super::{Config, Setting};
use crate::log::{Destination, MAX_FILE_BYTES, MIN_FILE_BYTES};

/// The settings of the log, `log.*`: [`log::configure`](crate::log::configure) applies them at once.
pub const fn of_log<C: Config>() -> &'static [Setting<C>] {
    const {
        &[
            Setting {
                path: "log.level",
                set: |to, raw| raw.text(str::parse).map(|value| to.log_mut().level = value),
                show: |of| quoted(&of.log().level),
            },
            Setting {
                path: "log.to",
                set: |to, raw| {
                    let to_one = |text: &str| named(text, Destination::ALL, Destination::name);
                    raw.text(to_one).map(|value| to.log_mut().to = value)
                },
                show: |of| quoted(of.log().to.name()),
            },
            Setting {
                path: "log.directory",
                set: |to, raw| raw.text(absolute).map(|value| to.log_mut().directory = value),
                show: |of| quoted(of.log().directory.display()),
            },
            Setting {
                path: "log.file_bytes",
                set: |to, raw| {
                    raw.number(MIN_FILE_BYTES..=MAX_FILE_BYTES)
                        .map(|value| to.log_mut().file_bytes = value)
                },
                show: |of| of.log().file_bytes.to_string(),
            },
        ]
    }
}

/// The settings of who answers for the program, `telemetry.*`.
pub const fn of_telemetry<C: Config>() -> &'static [Setting<C>] {
    const {
        &[
            Setting {
                path: "telemetry.listen",
                set: |to, raw| raw.text(str::parse).map(|value| to.telemetry_mut().listen = value),
                show: |of| quoted(&of.telemetry().listen),
            },
            Setting {
                path: "telemetry.allow_remote",
                set: |to, raw| raw.switch().map(|value| to.telemetry_mut().allow_remote = value),
                show: |of| of.telemetry().allow_remote.to_string(),
            },
            Setting {
                path: "telemetry.heap_profile",
                set: |to, raw| raw.switch().map(|value| to.telemetry_mut().heap_profile = value),
                show: |of| of.telemetry().heap_profile.to_string(),
            },
        ]
    }
}
