//! Certificates for tests.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority.
pub(crate) struct Pki {
    pub(crate) root: CertificateDer<'static>,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What it has issued.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Pki {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { root: issuer.der().clone(), issuer }
    }

    pub(crate) fn issue(&self, uri: &str) -> Issued {
        self.issue_all(&[uri])
    }

    /// From an hour ago to an hour from now.
    pub(crate) fn issue_now(&self, uri: &str) -> Issued {
        const HOUR: Duration = Duration::from_secs(3600);
        self.issue_with(&[uri], |params| {
            params.not_before = (SystemTime::now() - HOUR).into();
            params.not_after = (SystemTime::now() + HOUR).into();
        })
    }

    pub(crate) fn issue_all(&self, uris: &[&str]) -> Issued {
        self.issue_with(uris, |_| ())
    }

    pub(crate) fn issue_with(
        &self,
        uris: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names =
            uris.iter().map(|&uri| SanType::URI(uri.try_into().expect("a URI"))).collect();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Issued { chain: vec![certificate.der().clone()], key }
    }
}
