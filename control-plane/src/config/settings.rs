//! Every setting. One more is a field of [`Config`] and an entry here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wanglou_api::dial::check_endpoint;
use wanglou_daemon::config::Setting;
use wanglou_daemon::config::values::{absolute, list, quoted};
use wanglou_lake::location;

use super::Config;

/// In the order in which they are shown.
pub(super) const SETTINGS: &[Setting<Config>] = &[
    Setting {
        path: "control.listen",
        set: |to, raw| raw.text(listen).map(|value| to.control.listen = value),
        show: |of| quoted(&of.control.listen),
    },
    Setting {
        path: "control.addresses",
        set: |to, raw| raw.list(',', endpoint).map(|value| to.control.addresses = value),
        show: |of| list(&of.control.addresses),
    },
    Setting {
        path: "control.certificate",
        set: |to, raw| raw.text(absolute).map(|value| to.control.certificate = value),
        show: |of| quoted(of.control.certificate.display()),
    },
    Setting {
        path: "control.key",
        set: |to, raw| raw.text(absolute).map(|value| to.control.key = value),
        show: |of| quoted(of.control.key.display()),
    },
    Setting {
        path: "control.authorities",
        set: |to, raw| raw.text(absolute).map(|value| to.control.authorities = value),
        show: |of| quoted(of.control.authorities.display()),
    },
    Setting {
        path: "control.connections",
        set: |to, raw| raw.number(16..=1_000_000).map(|value| to.control.connections = value),
        show: |of| of.control.connections.to_string(),
    },
    Setting {
        path: "control.handshakes_per_second",
        set: |to, raw| raw.number(1..=100_000).map(|it| to.control.handshakes_per_second = it),
        show: |of| of.control.handshakes_per_second.to_string(),
    },
    Setting {
        path: "etcd.endpoints",
        set: |to, raw| raw.list(',', member).map(|value| to.etcd.endpoints = value),
        show: |of| list(&of.etcd.endpoints),
    },
    Setting {
        path: "etcd.certificate",
        set: |to, raw| raw.text(file_or_none).map(|value| to.etcd.certificate = value),
        show: |of| quoted(of.etcd.certificate.display()),
    },
    Setting {
        path: "etcd.key",
        set: |to, raw| raw.text(file_or_none).map(|value| to.etcd.key = value),
        show: |of| quoted(of.etcd.key.display()),
    },
    Setting {
        path: "etcd.authorities",
        set: |to, raw| raw.text(file_or_none).map(|value| to.etcd.authorities = value),
        show: |of| quoted(of.etcd.authorities.display()),
    },
    Setting {
        path: "fleet.hosts_per_lease",
        set: |to, raw| raw.number(1..=10_000).map(|value| to.fleet.hosts_per_lease = value),
        show: |of| of.fleet.hosts_per_lease.to_string(),
    },
    Setting {
        path: "fleet.lease_seconds",
        set: |to, raw| raw.number(5..=600).map(|it| to.fleet.lease = Duration::from_secs(it)),
        show: |of| of.fleet.lease.as_secs().to_string(),
    },
    Setting {
        path: "fleet.heartbeat_seconds",
        set: |to, raw| raw.number(1..=600).map(|it| to.fleet.heartbeat = Duration::from_secs(it)),
        show: |of| of.fleet.heartbeat.as_secs().to_string(),
    },
    Setting {
        path: "fleet.connection_age_seconds",
        set: |to, raw| {
            raw.number(60..=604_800).map(|it| to.fleet.connection_age = Duration::from_secs(it))
        },
        show: |of| of.fleet.connection_age.as_secs().to_string(),
    },
    Setting {
        path: "fleet.stop_key",
        set: |to, raw| raw.text(file_or_none).map(|value| to.fleet.stop_key = value),
        show: |of| quoted(of.fleet.stop_key.display()),
    },
    Setting {
        path: "fleet.operator_keys",
        set: |to, raw| raw.list(',', absolute).map(|value| to.fleet.operator_keys = value),
        show: |of| list(of.fleet.operator_keys.iter().map(|path| path.display())),
    },
    Setting {
        path: "lake.location",
        set: |to, raw| raw.text(place_or_none).map(|value| to.lake.location = value),
        show: |of| quoted(&of.lake.location),
    },
    Setting {
        path: "lake.flush_milliseconds",
        set: |to, raw| raw.number(50..=2_000).map(|it| to.lake.flush = Duration::from_millis(it)),
        show: |of| of.lake.flush.as_millis().to_string(),
    },
    Setting {
        path: "lake.compact_seconds",
        set: |to, raw| {
            raw.number(1..=3_600).map(|it| to.lake.compact_every = Duration::from_secs(it))
        },
        show: |of| of.lake.compact_every.as_secs().to_string(),
    },
    Setting {
        path: "lake.retention_days",
        set: |to, raw| raw.number(1..=3_650).map(|value| to.lake.retention = value),
        show: |of| of.lake.retention.to_string(),
    },
    Setting {
        path: "lake.fleet_bytes_per_second",
        set: |to, raw| raw.number(0..=1_000_000_000_000).map(|value| to.rates.fleet = value),
        show: |of| of.rates.fleet.to_string(),
    },
    Setting {
        path: "lake.datacentre_bytes_per_second",
        set: |to, raw| raw.number(0..=1_000_000_000_000).map(|value| to.rates.datacentre = value),
        show: |of| of.rates.datacentre.to_string(),
    },
    Setting {
        path: "replica.state_directory",
        set: |to, raw| raw.text(absolute).map(|value| to.state_directory = value),
        show: |of| quoted(of.state_directory.display()),
    },
    Setting {
        path: "replica.peers",
        set: |to, raw| raw.list(',', endpoint).map(|value| to.peers = value),
        show: |of| list(&of.peers),
    },
];

fn listen(text: &str) -> Result<String, String> {
    let address = text.parse::<SocketAddr>();
    address.map(|_| text.to_owned()).map_err(|_| "it has to be address:port".to_owned())
}

fn endpoint(text: &str) -> Result<String, String> {
    check_endpoint(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn member(text: &str) -> Result<String, String> {
    let is_url =
        |scheme: &str| text.strip_prefix(scheme).is_some_and(|rest| check_endpoint(rest).is_ok());
    if is_url("http://") || is_url("https://") {
        Ok(text.to_owned())
    } else {
        Err("it has to be http://host:port or https://host:port".to_owned())
    }
}

fn file_or_none(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Ok(PathBuf::new()) } else { absolute(text) }
}

/// A folder, a bucket, or nothing.
fn place_or_none(text: &str) -> Result<String, String> {
    if text.is_empty() || location::is_bucket(text) {
        return Ok(text.to_owned());
    }
    absolute(text).map(|_| text.to_owned())
}
