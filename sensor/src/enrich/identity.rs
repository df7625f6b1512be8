//! `process.entity_id`: the same from every backend, and different when a PID is used again.

use std::fmt;

use arrayvec::ArrayString;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::observation::ProcessKey;

const DIGEST_BYTES: usize = 12;
const TEXT_BYTES: usize = 16;

/// base64url of 12 bytes: 16 characters.
pub(super) type EntityId = ArrayString<TEXT_BYTES>;

/// Makes entity ids of one boot of one host.
#[derive(Clone)]
pub(super) struct Identity(Sha256);

impl Identity {
    /// For a host and a boot.
    pub(super) fn new(host_id: &str, boot_id: &str) -> Self {
        let mut digest = Sha256::new();
        for id in [host_id, boot_id] {
            digest.update(id.as_bytes());
            digest.update([0]);
        }
        Self(digest)
    }

    /// The first 12 bytes of SHA-256 over host id, NUL, boot id, NUL, PID (32 bits) and start in
    /// ticks (64 bits), both little-endian.
    pub(super) fn of(&self, process: ProcessKey) -> EntityId {
        let mut digest = self.0.clone();
        digest.update(process.pid.to_le_bytes());
        digest.update(process.start_ticks.to_le_bytes());
        let mut text = [b'A'; TEXT_BYTES];
        // Twelve bytes always fill sixteen characters, and those are ASCII.
        let _ = URL_SAFE_NO_PAD.encode_slice(&digest.finalize()[..DIGEST_BYTES], &mut text);
        EntityId::from_byte_string(&text).unwrap_or_default()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_what_the_documents_say() {
        // printf 'host\0boot\0\x01\0\0\0\x02\0\0\0\0\0\0\0' | sha256sum | cut -c-24 |
        //   xxd -r -p | basenc --base64url
        let id = Identity::new("host", "boot").of(ProcessKey { pid: 1, start_ticks: 2 });
        assert_eq!(id.as_str(), "8wZoJF_H2QoniBS0");
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let identity = Identity::new("host", "boot");
        let at = |start_ticks| identity.of(ProcessKey { pid: 7, start_ticks });
        assert_ne!(at(1), at(2));
        assert_eq!(at(1), at(1));
    }
}
