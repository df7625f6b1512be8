use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::record::{self, Record};
use super::{LOG, Level, ids, levels};

/// Makes a record of each event, and has the log write it.
pub(super) struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = LOG.get() else { return };
        let mut parts = Parts::default();
        event.record(&mut parts);
        let metadata = event.metadata();
        let level = Level::of(metadata);
        // A library has no ids of ours.
        if parts.id.is_empty() && level <= Level::Warning {
            parts.id.push_str(ids::FOREIGN.code);
        }
        let target = if parts.target.is_empty() { metadata.target() } else { &parts.target };
        log.record(&Record {
            at: record::now(),
            level,
            process: log.process.name,
            module: levels::module(target),
            id: &parts.id,
            message: &parts.message,
            fields: &parts.fields,
        });
    }
}

/// What an event consists of.
#[derive(Default)]
struct Parts {
    id: String,
    message: String,
    fields: String,
    /// Where an event of the `log` facade comes from.
    target: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "id" => value.clone_into(&mut self.id),
            "message" => record::append(value, &mut self.message),
            "log.target" => record::append(value, &mut self.target),
            name if name.starts_with("log.") => {}
            name => self.field(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Parts {
    /// In quotes where it would not be seen to be one value.
    fn field(&mut self, name: &str, value: &str) {
        let is_quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
        let is_plain = !value.is_empty() && !value.contains([' ', '"', '=']);
        let quoted = (!is_quoted && !is_plain).then(|| format!("{value:?}"));
        if self.message.len() + self.fields.len() + name.len() < record::MAX_TEXT {
            self.fields.extend([" ", name, "="]);
            record::append(quoted.as_deref().unwrap_or(value), &mut self.fields);
        }
    }
}
