use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// More are not tried.
pub const MAX_ENDPOINTS: usize = 64;

/// Where a replica may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// There.
    Address(SocketAddr),
    /// Where this name leads, and this port.
    Name(Box<str>, u16),
}

/// It is nowhere.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no endpoint: it has to be NAME:PORT, ADDRESS:PORT or [ADDRESS]:PORT")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let other = || EndpointError(text.chars().take(300).collect());
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() > 0 { Ok(Self::Address(address)) } else { Err(other()) };
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(other)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(other)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        // RFC 1035, 2.3.4.
        let is_name = (1..=253).contains(&name.len()) && name.bytes().all(fits);
        // Something like an address is meant to be one.
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_name && !is_number && name.parse::<IpAddr>().is_err() {
            Ok(Self::Name(name.into(), port))
        } else {
            Err(other())
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (text, is_name) in [
            ("10.0.0.1:7443", false),
            ("[2001:db8::1]:7443", false),
            ("control.example:7443", true),
            ("localhost:1", true),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(matches!(endpoint, Endpoint::Name(..)), is_name, "{text}");
            assert_eq!(endpoint.to_string(), text);
        }
        for text in
            ["", "a", "a:", "a:0", "a:65536", ":1", "1.2.3:4", "10.0.0.256:1", "::1:1", "a b:1"]
        {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_one_is_written_as_it_was_read(text in "[a-z0-9.:\\[\\]_-]{0,40}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
            }
        }
    }
}
