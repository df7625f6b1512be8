use std::path::PathBuf;

use wanglou_api::identity::Role;
use wanglou_api::tls::Credentials;

use super::endpoint::Endpoint;
use super::keys;

/// Where the fleet is, who we are there, and whose orders count. Fleet and host id are those of the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where replicas are; none: the sensor stands alone.
    pub endpoints: Vec<Endpoint>,
    /// PEM: a chain that begins with the host's own certificate.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: who issues certificates of the fleet.
    pub authorities: PathBuf,
    /// PEM, a public key each, of who may stop.
    pub stop_keys: Vec<PathBuf>,
    /// The same of who may stop and start.
    pub operator_keys: Vec<PathBuf>,
}

impl Settings {
    /// Whether there is a fleet.
    pub fn is_joined(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// Settings that it needs to be joined and does not have.
    pub fn missing(&self) -> Vec<&'static str> {
        let has = [
            (!self.certificate.as_os_str().is_empty(), "control.certificate"),
            (!self.key.as_os_str().is_empty(), "control.key"),
            (!self.authorities.as_os_str().is_empty(), "control.authorities"),
            (!self.stop_keys.is_empty(), "control.stop_keys"),
            (!self.operator_keys.is_empty(), "control.operator_keys"),
        ];
        let missing = has.into_iter().filter(|(has, _)| self.is_joined() && !has);
        missing.map(|(_, name)| name).collect()
    }

    /// What is wrong with the files that they name, a line each.
    pub fn faults(&self) -> Vec<String> {
        if !self.is_joined() {
            return Vec::new();
        }
        let mut faults = Vec::new();
        match Credentials::read(&self.certificate, &self.key, &self.authorities) {
            Err(error) => faults.push(error.to_string()),
            Ok(credentials) if credentials.identity().role != Role::Host => faults.push(format!(
                "{}: it is for {}, and a sensor needs one for a host",
                self.certificate.display(),
                credentials.identity()
            )),
            Ok(_) => {}
        }
        keys::read(self, &mut |fault| faults.push(fault.to_string()));
        faults
    }
}
