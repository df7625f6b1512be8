//! Whether somebody is who they say, and one of those we talk to.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;
use thiserror::Error as ThisError;
use webpki::{EndEntityCert, KeyUsage};

use super::Credentials;
use crate::identity::{Identity, IdentityError, Name, Role};

/// By which clock certificates are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// One's own, whatever it says.
    OwnClock,
    /// One's own, unless by it one's own certificate is not valid either: then the clock is taken to be wrong, and
    /// when a certificate is valid is not looked at. A host whose clock has stopped shall not be out of reach.
    ClockMayBeWrong,
}

/// Why somebody is not talked to.
#[derive(Debug, ThisError)]
pub enum PeerError {
    /// No authority of ours has signed it, or not for now, or not for this.
    #[error("{}", chain_text(.0))]
    Chain(#[from] webpki::Error),
    /// It says nobody.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It is of others.
    #[error("{0} is not of the fleet {1}")]
    Fleet(Identity, Name),
    /// It is not for this.
    #[error("{0} may not do this: it is for {1}")]
    Role(Identity, &'static str),
}

/// What webpki found, in words.
fn chain_text(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { .. } => "the certificate has expired".to_owned(),
        webpki::Error::CertNotValidYet { .. } => {
            "the certificate is not valid yet: look at both clocks".to_owned()
        }
        webpki::Error::UnknownIssuer => {
            "the certificate is of no authority that is trusted here".to_owned()
        }
        other => format!("the certificate is not valid: {other:?}"),
    }
}

/// Why a handshake failed, in one line.
pub fn why(error: &Error) -> String {
    if let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
        && let Some(peer) = other.downcast_ref::<PeerError>()
    {
        return peer.to_string();
    }
    error.to_string()
}

/// Looks at certificates of peers.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    own: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    fleet: Name,
    roles: &'static [Role],
    sight: Sight,
}

impl PeerVerifier {
    pub(super) fn new(
        credentials: &Credentials,
        provider: &CryptoProvider,
        fleet: &Name,
        roles: &'static [Role],
        sight: Sight,
    ) -> Self {
        Self {
            own: credentials.chain.clone(),
            roots: credentials.roots.clone(),
            algorithms: provider.signature_verification_algorithms,
            fleet: fleet.clone(),
            roles,
            sight,
        }
    }

    fn look(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
        usage: fn() -> KeyUsage,
    ) -> Result<(), PeerError> {
        match self.chain(certificate, above, now, usage) {
            Err(webpki::Error::CertNotValidYet { .. } | webpki::Error::CertExpired { .. })
                if self.is_clock_wrong(now) =>
            {
                self.chain_at_some_time(certificate, above, now, usage)?;
            }
            other => other?,
        }
        let identity = Identity::of_certificate(certificate)?;
        if identity.fleet != self.fleet {
            return Err(PeerError::Fleet(identity, self.fleet.clone()));
        }
        if !self.roles.contains(&identity.role) {
            return Err(PeerError::Role(
                identity,
                self.roles.first().map_or("nobody", |it| it.name()),
            ));
        }
        Ok(())
    }

    fn chain(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        at: UnixTime,
        usage: fn() -> KeyUsage,
    ) -> Result<(), webpki::Error> {
        let certificate = EndEntityCert::try_from(certificate)?;
        let (algorithms, roots) = (self.algorithms.all, &self.roots.roots);
        certificate.verify_for_usage(algorithms, roots, above, at, usage(), None, None).map(drop)
    }

    fn is_clock_wrong(&self, now: UnixTime) -> bool {
        let Some((own, above)) = self.own.split_first() else { return false };
        let seen = self.chain(own, above, now, KeyUsage::client_auth);
        self.sight == Sight::ClockMayBeWrong
            && matches!(
                seen,
                Err(webpki::Error::CertNotValidYet { .. } | webpki::Error::CertExpired { .. })
            )
    }

    /// Follows the certificates' own times until all of a chain agree, each of which is looked at once.
    fn chain_at_some_time(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
        usage: fn() -> KeyUsage,
    ) -> Result<(), webpki::Error> {
        let mut at = now;
        for _ in 0..=above.len() + 1 {
            at = match self.chain(certificate, above, at, usage) {
                Err(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
                Err(webpki::Error::CertExpired { not_after, .. }) => not_after,
                other => return other,
            };
        }
        self.chain(certificate, above, at, usage)
    }
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        let other = OtherError(Arc::new(error));
        Self::InvalidCertificate(CertificateError::Other(other))
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.look(end_entity, intermediates, now, KeyUsage::server_auth)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.look(end_entity, intermediates, now, KeyUsage::client_auth)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
