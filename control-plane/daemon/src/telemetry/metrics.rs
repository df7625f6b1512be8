//! `/metrics`: `OpenMetrics` text, of a table of metrics that a program has.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text as encoding};
pub use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
pub use prometheus_client::registry::Unit;

use super::process::Process;

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A metric: its name without prefix, unit and the ending of its kind; what it says; and its rows, as
/// a function of whatever a program reads once for all of them.
#[derive(Debug)]
pub struct Metric<R> {
    /// As in `breaker_trips`.
    pub name: &'static str,
    /// What is counted, if that has a name.
    pub unit: Option<Unit>,
    /// Counters and information end in `_total` and `_info`.
    pub kind: MetricType,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// Finds its rows.
    pub rows: R,
}

/// Labels, and a value.
pub type Row = (Vec<(&'static str, String)>, Value);

/// What a row says.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// A measure.
    Real(f64),
}

/// All metrics of a table, their names beginning with `prefix`.
pub fn text<R: Send + Sync>(
    prefix: &'static str,
    metrics: &'static [Metric<R>],
    rows: impl Fn(&R) -> Vec<Row>,
) -> Result<String, fmt::Error> {
    let families = metrics.iter().map(|metric| (metric, rows(&metric.rows))).collect();
    let mut registry = Registry::with_prefix(prefix);
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    encoding::encode(&mut text, &registry)?;
    Ok(text)
}

/// The names of all metrics, as they are written.
pub fn names<R>(prefix: &str, metrics: &[Metric<R>]) -> Vec<String> {
    metrics.iter().map(|metric| format!("{prefix}_{}", metric.name())).collect()
}

/// The names of all metrics that a page of the documentation has in the first column of a table.
pub fn names_in(page: &str, prefix: &str) -> Vec<String> {
    let begins = format!("| `{prefix}_");
    let name = |line: &str| Some(line.strip_prefix(&begins)?.split(['`', '{']).next()?.to_owned());
    page.lines().filter_map(name).map(|name| format!("{prefix}_{name}")).collect()
}

/// One label.
pub fn label(name: &'static str, value: impl Into<String>) -> Vec<(&'static str, String)> {
    vec![(name, value.into())]
}

/// One row without labels.
pub fn one(value: Value) -> Vec<Row> {
    vec![(Vec::new(), value)]
}

/// A row for each process.
pub fn by_process(processes: &[Process], value: fn(&Process) -> Value) -> Vec<Row> {
    processes.iter().map(|it| (label("process", it.role), value(it))).collect()
}

/// The rows of each metric.
struct Families<R: 'static>(Vec<(&'static Metric<R>, Vec<Row>)>);

impl<R> fmt::Debug for Families<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Families")
    }
}

impl<R: Send + Sync> Collector for Families<R> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (metric, rows) in &self.0 {
            let Metric { name, unit, kind, help, .. } = metric;
            let mut encoder = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            for (labels, value) in rows {
                match kind {
                    MetricType::Info => encoder.encode_info(labels)?,
                    _ if labels.is_empty() => value.encode(*kind, &mut encoder)?,
                    _ => value.encode(*kind, &mut encoder.encode_family(labels)?)?,
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(self, kind: MetricType, to: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match (kind, self) {
            (MetricType::Counter, Self::Whole(value)) => {
                to.encode_counter::<NoLabelSet, _, u64>(&value, None)
            }
            (MetricType::Counter, Self::Real(value)) => {
                to.encode_counter::<NoLabelSet, _, u64>(&value, None)
            }
            (_, Self::Whole(value)) => to.encode_gauge(&value),
            (_, Self::Real(value)) => to.encode_gauge(&value),
        }
    }
}

impl<R> Metric<R> {
    fn name(&self) -> String {
        let unit = self.unit.as_ref().map_or(String::new(), |unit| format!("_{}", unit.as_str()));
        let ending = match self.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        format!("{}{unit}{ending}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = fn(u64) -> Vec<Row>;

    static METRICS: &[Metric<Rows>] = &[
        Metric {
            name: "flour",
            unit: Some(Unit::Bytes),
            kind: MetricType::Counter,
            help: "Flour.",
            rows: |bytes| vec![(label("grain", "rye"), Value::Whole(bytes))],
        },
        Metric {
            name: "wind_ratio",
            unit: None,
            kind: MetricType::Gauge,
            help: "Wind.",
            rows: |_| one(Value::Real(0.5)),
        },
    ];

    #[test]
    fn a_table_becomes_text() {
        let text = text("wanglou_mill", METRICS, |rows| rows(7)).expect("text");
        for line in [
            "# TYPE wanglou_mill_flour_bytes counter",
            "# HELP wanglou_mill_flour_bytes Flour.",
            "wanglou_mill_flour_bytes_total{grain=\"rye\"} 7",
            "wanglou_mill_wind_ratio 0.5",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "no {line}: {text}");
        }
    }

    #[test]
    fn a_page_is_held_to_the_table() {
        let page = "| `wanglou_mill_flour_bytes_total{grain}` | so |\n| `wanglou_mill_wind_ratio` | so |\n";
        assert_eq!(names_in(page, "wanglou_mill"), names("wanglou_mill", METRICS));
    }
}
