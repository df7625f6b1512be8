//! Who somebody is: a SPIFFE ID in a certificate, and nothing else.
//!
//! ```text
//! spiffe://production/host/4c4c4544-0042     fleet, role and id
//! ```

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use webpki::EndEntityCert;

/// What somebody is in a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A sensor.
    Host,
    /// One of the control plane.
    Replica,
    /// A person, or a program for one.
    Operator,
}

impl Role {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Host, Self::Replica, Self::Operator];

    /// As an id has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Replica => "replica",
            Self::Operator => "operator",
        }
    }
}

/// Part of an identity: 1 to 128 letters, digits, `-`, `.` and `_` of ASCII, but not `.` or `..`, so that it is also a
/// key of etcd, a segment of a URI and the name of a file.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

impl Name {
    /// It.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = (1..=128).contains(&text.len()) && text.bytes().all(fits);
        if is_name && text != "." && text != ".." {
            Ok(Self(text.into()))
        } else {
            Err(IdentityError::Name(text.chars().take(128).collect()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Of which fleet.
    pub fleet: Name,
    /// As what.
    pub role: Role,
    /// Which one.
    pub id: Name,
}

/// Why nobody is known by it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Not a name.
    #[error("{0:?} is no name: 1 to 128 of a-z, A-Z, 0-9, '-', '.' and '_'")]
    Name(String),
    /// Not one of ours.
    #[error("{0:?} is not spiffe://<fleet>/<host|replica|operator>/<id>")]
    Uri(String),
    /// Not a certificate.
    #[error("it is no certificate: {0}")]
    Certificate(#[from] webpki::Error),
    /// A certificate of others.
    #[error(
        "the certificate has {0} SPIFFE IDs, and needs one: its subject's alternative name of the type URI"
    )]
    Count(usize),
}

impl Identity {
    /// That of a certificate, whoever has signed it.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let certificate = EndEntityCert::try_from(certificate)?;
        let ids: Vec<_> =
            certificate.valid_uri_names().filter(|uri| uri.starts_with("spiffe://")).collect();
        // SPIFFE, X.509-SVID, 2: exactly one.
        let [id] = ids[..] else { return Err(IdentityError::Count(ids.len())) };
        id.parse()
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let other = || IdentityError::Uri(uri.chars().take(512).collect());
        let parts: Vec<_> = uri.strip_prefix("spiffe://").ok_or_else(other)?.split('/').collect();
        let [fleet, role, id] = parts[..] else { return Err(other()) };
        let role = Role::ALL.into_iter().find(|it| it.name() == role).ok_or_else(other)?;
        Ok(Self { fleet: fleet.parse()?, role, id: id.parse()? })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}/{}", self.fleet, self.role.name(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pki::Pki;

    #[test]
    fn an_identity_is_what_its_certificate_says() {
        let pki = Pki::new("blue");
        let issued = pki.issue("spiffe://blue/host/web-1.example");
        let identity = Identity::of_certificate(&issued.chain[0]).expect("an identity");
        assert_eq!(identity.to_string(), "spiffe://blue/host/web-1.example");
        assert_eq!((identity.role, identity.id.as_str()), (Role::Host, "web-1.example"));
    }

    #[test]
    fn what_is_not_one_is_refused() {
        for uri in [
            "spiffe://blue/host",
            "spiffe://blue/host/",
            "spiffe://blue/host/a/b",
            "spiffe://blue/admin/a",
            "spiffe:///host/a",
            "https://blue/host/a",
            "spiffe://blue/host/..",
            "spiffe://blue/host/a b",
            "spiffe://blue/host/\u{e9}",
            &format!("spiffe://blue/host/{}", "a".repeat(129)),
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
        let pki = Pki::new("blue");
        let two = pki.issue_all(&["spiffe://blue/host/a", "spiffe://blue/host/b"]);
        assert_eq!(Identity::of_certificate(&two.chain[0]), Err(IdentityError::Count(2)));
        let none = CertificateDer::from(vec![0; 8]);
        assert!(matches!(Identity::of_certificate(&none), Err(IdentityError::Certificate(_))));
    }
}
