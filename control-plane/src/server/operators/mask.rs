//! Fields of a host that are asked for.

use prost_types::FieldMask;
use tonic::Status;
use wanglou_api::fleet::v1::Host;

use super::bad;

macro_rules! fields {
    ($($name:ident),* $(,)?) => {
        /// In the order of the proto file.
        const FIELDS: &[&str] = &[$(stringify!($name)),*];

        /// Only these fields.
        fn keep(host: Host, wanted: &[&str]) -> Host {
            let mut kept = Host::default();
            $(if wanted.contains(&stringify!($name)) {
                kept.$name = host.$name;
            })*
            kept
        }
    };
}

fields!(
    name,
    labels,
    state,
    state_time,
    first_seen_time,
    last_seen_time,
    replica,
    hostname,
    version,
    kernel_release,
    architecture,
    boot_id,
    instance_id,
    duplicate_instance_ids,
    heartbeat,
    order_epoch,
    clock_skew,
    etag,
);

/// A mask that makes sense; `None` for all fields.
#[derive(Clone, Debug)]
pub(super) struct Mask(Option<Vec<&'static str>>);

impl Mask {
    pub(super) fn new(mask: Option<FieldMask>) -> Result<Self, Status> {
        let paths = mask.unwrap_or_default().paths;
        // AIP-157.
        if paths.is_empty() || paths == ["*"] {
            return Ok(Self(None));
        }
        let known = |path: &String| {
            let field = FIELDS.iter().copied().find(|field| field == path);
            field.ok_or_else(|| bad("read_mask", format!("a host has no field {path:?}")))
        };
        // A host is nobody without its name.
        let mut wanted = vec!["name"];
        for path in &paths {
            wanted.push(known(path)?);
        }
        Ok(Self(Some(wanted)))
    }

    pub(super) fn apply(&self, host: Host) -> Host {
        match &self.0 {
            Some(wanted) => keep(host, wanted),
            None => host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_what_it_names_and_the_name() {
        let host = Host {
            name: "hosts/a".to_owned(),
            version: "1".to_owned(),
            order_epoch: 3,
            ..Host::default()
        };
        let mask = |paths: &[&str]| {
            Mask::new(Some(FieldMask {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
            }))
        };
        let kept = mask(&["version"]).expect("a mask").apply(host.clone());
        assert_eq!(kept, Host { order_epoch: 0, ..host.clone() });
        assert_eq!(mask(&["*"]).expect("a mask").apply(host.clone()), host);
        assert!(mask(&["colour"]).is_err_and(|error| error.message().contains("colour")));
    }
}
