//! Authorities and certificates of fleets: good ones, and those that must not be believed.

mod order_key;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
pub use order_key::{OrderKey, OrderKeyFiles};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An authority, and the key pair of a fleet's certificates.
#[derive(Debug)]
pub struct Pki {
    name: String,
    root: CertificateDer<'static>,
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Issued {
    /// Its own certificate, in DER.
    pub certificate: CertificateDer<'static>,
    /// Its private key: PKCS #8.
    pub key: PrivateKeyDer<'static>,
    certificate_pem: String,
    key_pem: String,
    authorities_pem: String,
}

/// Where a certificate is, as settings want it.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, which begins with its own certificate.
    pub certificate: PathBuf,
    /// The private key, for its owner only.
    pub key: PathBuf,
    /// The authorities that it trusts.
    pub authorities: PathBuf,
}

/// When a certificate is valid, by this machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// From an hour ago to a day from now.
    Now,
    /// Until an hour ago.
    Expired,
    /// From an hour from now.
    NotYet,
}

impl Validity {
    fn bounds(self) -> (SystemTime, SystemTime) {
        let now = SystemTime::now();
        match self {
            Self::Now => (now - HOUR, now + DAY),
            Self::Expired => (now - DAY, now - HOUR),
            Self::NotYet => (now + HOUR, now + DAY),
        }
    }
}

impl Pki {
    /// A new authority. Two of the same name do not trust each other's certificates.
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn new(name: &str) -> Result<Self> {
        Self::of(name, KeyPair::generate()?, None)
    }

    /// The one that [`save`](Self::save) has kept in a folder, for another process.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn load(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let key = KeyPair::from_pem(&read("authority.key")?).context("authority.key is no key")?;
        Self::of(read("authority.name")?.trim(), key, Some(read("authority.pem")?))
    }

    /// Keeps the authority in a folder, with its key, as `authority.pem`, `authority.key` and `authority.name`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub fn save(&self, folder: &Path) -> Result<()> {
        write(&folder.join("authority.pem"), &self.root_pem, 0o644)?;
        write(&folder.join("authority.key"), &self.issuer.key().serialize_pem(), 0o600)?;
        write(&folder.join("authority.name"), &self.name, 0o644)
    }

    fn of(name: &str, key: KeyPair, certificate: Option<String>) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_pem = match certificate {
            Some(certificate) => certificate,
            None => params.self_signed(&key)?.pem(),
        };
        let root = CertificateDer::from_pem_slice(root_pem.as_bytes())?;
        Ok(Self { name: name.to_owned(), root, root_pem, issuer: Issuer::new(params, key) })
    }

    /// The fleet whose authority it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own certificate.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The same in PEM.
    pub fn authority_pem(&self) -> &str {
        &self.root_pem
    }

    /// A certificate for somebody, `spiffe://<fleet>/<role>/<id>`, of this fleet or of another.
    ///
    /// # Errors
    ///
    /// If that is no URI.
    pub fn issue(&self, uri: &str) -> Result<Issued> {
        self.issue_for(uri, Validity::Now)
    }

    /// The same, valid or not.
    ///
    /// # Errors
    ///
    /// If that is no URI.
    pub fn issue_for(&self, uri: &str, validity: Validity) -> Result<Issued> {
        let uri = SanType::URI(uri.try_into()?);
        self.issue_with(&KeyPair::generate()?, |params| {
            (params.not_before, params.not_after) = {
                let (from, to) = validity.bounds();
                (from.into(), to.into())
            };
            params.subject_alt_names = vec![uri];
        })
    }

    /// A certificate for a user or a member of etcd: its common name is the user, and it serves at 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn issue_etcd(&self, user: &str) -> Result<Issued> {
        self.issue_with(&KeyPair::generate()?, |params| {
            params.distinguished_name.push(DnType::CommonName, user);
            params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        })
    }

    /// A certificate for a key, with whatever is changed about it before it is signed.
    ///
    /// # Errors
    ///
    /// If what is asked for cannot be written in a certificate.
    pub fn issue_with(
        &self,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Issued> {
        let mut params = CertificateParams::new(Vec::new())?;
        let (from, to) = Validity::Now.bounds();
        (params.not_before, params.not_after) = (from.into(), to.into());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            authorities_pem: self.root_pem.clone(),
        })
    }
}

impl Issued {
    /// Writes `<name>.pem`, `<name>.key` and `<name>.authorities.pem`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub fn write(&self, folder: &Path, name: &str) -> Result<Files> {
        let files = Files {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
            authorities: folder.join(format!("{name}.authorities.pem")),
        };
        write(&files.certificate, &self.certificate_pem, 0o644)?;
        write(&files.key, &self.key_pem, 0o600)?;
        write(&files.authorities, &self.authorities_pem, 0o644)?;
        Ok(files)
    }

    /// Its own certificate and its key, in PEM.
    pub fn pem(&self) -> (&str, &str) {
        (&self.certificate_pem, &self.key_pem)
    }

    /// Trusts another authority than the one that has issued it.
    #[must_use]
    pub fn trusting(mut self, other: &Pki) -> Self {
        self.authorities_pem = other.root_pem.clone();
        self
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let write = || {
        fs::write(path, text)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use wanglou_api::identity::{Name, Role};
    use wanglou_api::tls::{self, Credentials, Sight};

    use super::*;

    fn credentials(files: &Files) -> Credentials {
        Credentials::read(&files.certificate, &files.key, &files.authorities).expect("credentials")
    }

    #[test]
    fn what_is_written_is_read_by_both_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = Pki::new("blue").expect("an authority");
        pki.save(folder.path()).expect("it is kept");
        let again = Pki::load(folder.path()).expect("it is found");
        let host = again.issue("spiffe://blue/host/a").expect("a certificate");
        let host = credentials(&host.write(folder.path(), "a").expect("files"));
        let fleet: Name = "blue".parse().expect("a name");
        assert_eq!(host.identity().role, Role::Host);
        tls::client(&host, &fleet, Sight::OwnClock).expect("a client");
        let replica = pki.issue("spiffe://blue/replica/one").expect("a certificate");
        let files = replica.write(folder.path(), "one").expect("files");
        tls::server(&credentials(&files), &fleet, &[Role::Host]).expect("a server");
        let mode = fs::metadata(&files.key).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
