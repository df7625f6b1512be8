//! Mutual TLS 1.3 between sensors, replicas and operators. Who somebody is, a [SPIFFE ID](crate::identity) says; names
//! and addresses of hosts say nothing, so endpoints may be either.
//!
//! Sessions are never resumed: a resumed one would skip the look at the certificate.

mod credentials;
mod verifier;

use std::sync::Arc;

pub use credentials::{Credentials, CredentialsError};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig};
use verifier::PeerVerifier;
pub use verifier::{PeerError, Sight, why};

use crate::identity::{Name, Role};

/// HTTP/2, and nothing else (RFC 9113, 3.2).
const ALPN: &[u8] = b"h2";

/// Of somebody who calls a replica of the fleet.
pub fn client(
    credentials: &Credentials,
    fleet: &Name,
    sight: Sight,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roles = &[Role::Replica];
    let verifier = PeerVerifier::new(credentials, &provider, fleet, roles, sight);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(credentials.chain.clone(), credentials.key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Of a replica, for callers of these roles.
pub fn server(
    credentials: &Credentials,
    fleet: &Name,
    roles: &'static [Role],
) -> Result<ServerConfig, Error> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let verifier = PeerVerifier::new(credentials, &provider, fleet, roles, Sight::OwnClock);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(credentials.chain.clone(), credentials.key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

#[cfg(test)]
mod tests;
