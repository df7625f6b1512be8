//! Certificates and keys from files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::identity::{Identity, IdentityError};

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 1 << 20;

/// Who we are, and whose word we take on who others are.
pub struct Credentials {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) roots: RootCertStore,
    identity: Identity,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.identity)
    }
}

/// Why there are none.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// There is no such file, or not for us.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// It is not PEM, or of something else.
    #[error("{0} has no {1} in PEM: {2}")]
    Pem(PathBuf, &'static str, #[source] pem::Error),
    /// It is nobody's.
    #[error("{0}: {1}")]
    Identity(PathBuf, #[source] IdentityError),
    /// A root that is none.
    #[error("{0}: {1}")]
    Root(PathBuf, #[source] rustls::Error),
}

impl Credentials {
    /// From PEM files: a chain that begins with one's own certificate, its private key, and the authorities that
    /// issue certificates of the fleet.
    pub fn read(chain: &Path, key: &Path, roots: &Path) -> Result<Self, CredentialsError> {
        let certificates = |path: &Path| -> Result<Vec<_>, _> {
            let bytes = bytes(path)?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            let found = found.and_then(|found| {
                if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) }
            });
            found.map_err(|error| CredentialsError::Pem(path.to_owned(), "certificate", error))
        };
        let own = certificates(chain)?;
        let identity = Identity::of_certificate(&own[0])
            .map_err(|error| CredentialsError::Identity(chain.to_owned(), error))?;
        let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
            .map_err(|error| CredentialsError::Pem(key.to_owned(), "private key", error))?;
        let mut store = RootCertStore::empty();
        for root in certificates(roots)? {
            store.add(root).map_err(|error| CredentialsError::Root(roots.to_owned(), error))?;
        }
        Ok(Self { chain: own, key: private, roots: store, identity })
    }

    /// Who we are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    #[cfg(test)]
    pub(super) fn of(issued: crate::test_pki::Issued, root: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root).expect("a root");
        let identity = Identity::of_certificate(&issued.chain[0]).expect("an identity");
        Self { chain: issued.chain, key: issued.key, roots, identity }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| CredentialsError::Read(path.to_owned(), error))?;
    Ok(bytes)
}
