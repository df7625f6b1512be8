use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What a program says of itself, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Where it listens.
    pub listen: Listen,
    /// Whether an address beyond loopback will do.
    pub allow_remote: bool,
    /// Whether allocations are sampled for `/debug/pprof/heap`.
    pub heap_profile: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { listen: Listen::Off, allow_remote: false, heap_profile: true }
    }
}

impl Telemetry {
    /// What is wrong with the settings together.
    pub fn problem(&self) -> Option<String> {
        match &self.listen {
            Listen::Address(address) if !address.ip().is_loopback() && !self.allow_remote => {
                Some(format!(
                    "telemetry.listen = \"{address}\": others could reach it: take 127.0.0.1 or \
                     unix:PATH, or set telemetry.allow_remote = true"
                ))
            }
            _ => None,
        }
    }

    /// Whether anybody could ask for a profile.
    pub fn wants_heap_profile(&self) -> bool {
        self.heap_profile && self.listen != Listen::Off
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On a TCP address.
    Address(SocketAddr),
    /// On a unix socket.
    Unix(PathBuf),
}

/// A unix address has 108 bytes (`unix(7)`), and a socket has a longer name while it is made.
const MAX_PATH: usize = 88;

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let fits = path.as_os_str().len() <= MAX_PATH && path.file_name().is_some();
            return if path.is_absolute() && fits {
                Ok(Self::Unix(path))
            } else {
                Err(format!("the path of a socket begins with / and has at most {MAX_PATH} bytes"))
            };
        }
        text.parse()
            .map(Self::Address)
            .map_err(|_| "it has to be off, 127.0.0.1:PORT, [::1]:PORT or unix:/PATH".to_owned())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Address(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_writes_it_reads() {
        for text in ["off", "127.0.0.1:9630", "[::1]:9630", "unix:/run/wanglou/sensor.sock"] {
            assert_eq!(text.parse::<Listen>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let long = format!("unix:/{}", "x".repeat(MAX_PATH));
        for text in ["", "on", "localhost:80", "127.0.0.1", "unix:", "unix:sock", "unix:/", &long] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn others_are_let_in_by_leave_only() {
        let at = |listen: &str, allow_remote| {
            let listen = listen.parse().expect("an address");
            Telemetry { listen, allow_remote, ..Telemetry::default() }.problem()
        };
        assert!(at("0.0.0.0:1", false).expect("a problem").contains("telemetry.allow_remote"));
        assert!(at("[::]:1", false).is_some());
        for fine in [at("0.0.0.0:1", true), at("127.8.0.1:1", false), at("[::1]:1", false)] {
            assert_eq!(fine, None);
        }
    }
}
