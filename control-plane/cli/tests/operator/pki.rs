//! Certificates and keys, in files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ED25519, SanType,
};
use wanglou_api::tls::Credentials;

/// An authority with a folder for what it issues.
pub(crate) struct Pki {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        fs::write(folder.join("ca.pem"), issuer.pem()).expect("a file");
        Self { folder, issuer }
    }

    pub(crate) fn authorities(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Certificate and key of `role/id`.
    pub(crate) fn issue(&self, fleet: &str, peer: &str) -> (PathBuf, PathBuf) {
        let uri = format!("spiffe://{fleet}/{peer}");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().expect("a URI"))];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let stem = format!("{fleet}-{}", peer.replace('/', "-"));
        let (chain, private) =
            (self.folder.join(format!("{stem}.pem")), self.folder.join(format!("{stem}.key")));
        fs::write(&chain, certificate.pem()).expect("a file");
        fs::write(&private, key.serialize_pem()).expect("a file");
        (chain, private)
    }

    pub(crate) fn credentials(&self, fleet: &str, peer: &str) -> Credentials {
        let (chain, key) = self.issue(fleet, peer);
        Credentials::read(&chain, &key, &self.authorities()).expect("credentials")
    }

    /// A key that signs, and its public half in PEM.
    pub(crate) fn signing_key(&self) -> (PathBuf, String) {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let path = self.folder.join("signing.key");
        fs::write(&path, key.serialize_pem()).expect("a file");
        (path, key.public_key_pem())
    }
}
