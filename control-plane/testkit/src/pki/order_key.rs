//! Keys that sign orders.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{KeyPair, PKCS_ED25519};
use wanglou_api::signing::{May, Signer, Verifier};

use super::write;

/// A key pair of Ed25519.
#[derive(Debug)]
pub struct OrderKey(KeyPair);

/// Where it is.
#[derive(Clone, Debug)]
pub struct OrderKeyFiles {
    /// PKCS #8 in PEM, for its owner only.
    pub private: PathBuf,
    /// `SubjectPublicKeyInfo` in PEM.
    pub public: PathBuf,
}

impl OrderKey {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn new() -> Result<Self> {
        Ok(Self(KeyPair::generate_for(&PKCS_ED25519)?))
    }

    /// Writes `<name>.key` and `<name>.pub`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub fn write(&self, folder: &Path, name: &str) -> Result<OrderKeyFiles> {
        let files = OrderKeyFiles {
            private: folder.join(format!("{name}.key")),
            public: folder.join(format!("{name}.pub")),
        };
        write(&files.private, &self.0.serialize_pem(), 0o600)?;
        write(&files.public, &self.0.public_key_pem(), 0o644)?;
        Ok(files)
    }

    /// Signs with it.
    ///
    /// # Errors
    ///
    /// Never, as it is a key of the right kind.
    pub fn signer(&self) -> Result<Signer> {
        Ok(Signer::from_pem(self.0.serialize_pem().as_bytes())?)
    }

    /// Believes it.
    ///
    /// # Errors
    ///
    /// Never, as it is a key of the right kind.
    pub fn verifier(&self, may: May) -> Result<Verifier> {
        Ok(Verifier::from_pem(self.0.public_key_pem().as_bytes(), may)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wanglou_api::order::v1::Order;
    use wanglou_api::signing::verify;

    use super::*;

    #[test]
    fn its_files_sign_and_are_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = OrderKey::new().expect("a key");
        let files = key.write(folder.path(), "stop").expect("files");
        let read = |path| fs::read(path).expect("a file");
        let signer = Signer::from_pem(&read(&files.private)).expect("a private key");
        let believed = Verifier::from_pem(&read(&files.public), May::Stop).expect("a public key");
        assert_eq!(believed, key.verifier(May::Stop).expect("a public key"));
        let order = Order {
            fleet: "blue".to_owned(),
            kind: wanglou_api::order::v1::order::Kind::Stop.into(),
            selector: Some(wanglou_api::order::v1::Selector::default()),
            epoch: 1,
            ..Order::default()
        };
        let signed = signer.sign(prost::Message::encode_to_vec(&order));
        let fleet = "blue".parse().expect("a name");
        assert_eq!(verify(&signed, &[believed], &fleet), Ok(order));
    }
}
