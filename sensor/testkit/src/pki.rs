//! Certificates and keys of a fleet, in files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Result;
use prost::Message as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use wanglou_api::{
    order::v1::{Order, Selector, SignedOrder, order::Kind},
    signing::Signer,
};

const HOUR: Duration = Duration::from_secs(3600);

/// An authority; its certificate is in `authorities.pem`.
pub struct Pki {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What it has issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM, PKCS #8.
    pub key: PathBuf,
}

impl Pki {
    /// A new one, whose files lie in a folder.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pki = Self { folder: folder.to_owned(), issuer };
        fs::write(pki.authorities(), pki.issuer.pem())?;
        Ok(pki)
    }

    /// PEM.
    pub fn authorities(&self) -> PathBuf {
        self.folder.join("authorities.pem")
    }

    /// For whom an id names, from an hour ago to an hour from now.
    pub fn issue(&self, uri: &str) -> Result<Issued> {
        self.issue_at(uri, SystemTime::now())
    }

    /// The same around another time.
    pub fn issue_at(&self, uri: &str, now: SystemTime) -> Result<Issued> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.not_before = (now - HOUR).into();
        params.not_after = (now + HOUR).into();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let name = uri.replace(['/', ':'], "-");
        let file = |ending: &str| self.folder.join(format!("{name}.{ending}.pem"));
        let issued = Issued { certificate: file("certificate"), key: file("key") };
        fs::write(&issued.certificate, certificate.pem())?;
        fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }

    /// A key for orders, and the file of its public half.
    pub fn order_key(&self, name: &str) -> Result<(Signer, PathBuf)> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        let file = self.folder.join(format!("{name}.public.pem"));
        fs::write(&file, key.public_key_pem())?;
        Ok((Signer::from_pem(key.serialize_pem().as_bytes())?, file))
    }
}

/// An order for all hosts of the fleet `blue`, to be changed.
pub fn order(kind: Kind, epoch: u64) -> Order {
    Order {
        fleet: "blue".to_owned(),
        kind: kind.into(),
        selector: Some(Selector::default()),
        epoch,
        author: "ops".to_owned(),
        reason: "a fire".to_owned(),
        ..Order::default()
    }
}

/// An order as it travels.
pub fn sign(signer: &Signer, order: &Order) -> SignedOrder {
    signer.sign(order.encode_to_vec())
}
