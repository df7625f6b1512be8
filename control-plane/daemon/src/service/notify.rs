//! What the service manager is told, and how it knows that we live (`sd_notify(3)`, `sd_watchdog_enabled(3)`).
//!
//! Nobody is waited for: a manager that takes nothing must not hold a service up.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::log::ids;

const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Variables that are meant for this process alone: who starts others takes them away.
pub const NOTIFY_VARIABLES: [&str; 3] = [SOCKET, WATCHDOG_USEC, WATCHDOG_PID];

/// While a start goes on the manager is asked for more time: for so much, so often.
const MORE_TIME: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The manager that started us; does nothing where there is none.
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Silence that is taken for our end.
    watchdog: Option<Duration>,
    /// When it last heard that we live, and that we need more time.
    alive: Instant,
    asked: Instant,
    has_failed: bool,
}

impl Notify {
    /// Who is named in the environment.
    pub fn of_environment() -> Self {
        let variable = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_for_us =
            variable(WATCHDOG_PID).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = variable(WATCHDOG_USEC).filter(|usec| is_for_us && *usec > 0);
        Self::to(env::var_os(SOCKET).as_deref(), watchdog.map(Duration::from_micros))
    }

    fn to(address: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        let socket = address.and_then(|address| {
            open(address)
                .inspect_err(|error| {
                    let address = address.display();
                    tracing::warn!(id = ids::NOT_NOTIFIED.code, "cannot notify {address}: {error}");
                })
                .ok()
        });
        let now = Instant::now();
        Self { socket, watchdog, alive: now, asked: now, has_failed: false }
    }

    /// All that was asked for is done, be it a start or new settings.
    pub fn ready(&mut self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}\n", one_line(status)));
    }

    /// What there is to say of us.
    pub fn status(&mut self, status: &str) {
        self.send(&format!("STATUS={}\n", one_line(status)));
    }

    /// Settings are read again; [`Self::ready`] says that it is over.
    pub fn reloading(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=reading the settings\n"));
    }

    /// We are about to end.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1\nSTATUS=ending\n");
    }

    /// We are not ready yet, and all is well.
    pub fn starting(&mut self) {
        if self.asked.elapsed() >= ASK_EVERY {
            self.asked = Instant::now();
            self.send(&format!("EXTEND_TIMEOUT_USEC={}\n", MORE_TIME.as_micros()));
        }
    }

    /// The event loop has gone round, and will do so again after `next`: says so if half of what the
    /// watchdog waits for would be over by then.
    pub fn alive(&mut self, next: Duration) {
        let Some(watchdog) = self.watchdog else { return };
        if self.alive.elapsed() + next >= watchdog / 2 {
            self.alive = Instant::now();
            self.send("WATCHDOG=1\n");
        }
    }

    fn send(&mut self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        let sent = socket.send_to_addr(message.as_bytes(), address);
        if let Err(error) = sent
            && !std::mem::replace(&mut self.has_failed, true)
        {
            tracing::warn!(
                id = ids::NOT_NOTIFIED.code,
                "the service manager does not hear us: {error}"
            );
        }
    }
}

fn open(address: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(address)?,
        _ => return Err(io::Error::other("it is neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// A line is an assignment of its own.
fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager, and one who speaks to it.
    fn pair(name: &str, watchdog: Option<Duration>) -> (UnixDatagram, Notify) {
        let name = format!("wanglou-notify-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        manager.set_nonblocking(true).expect("a socket of ours");
        (manager, Notify::to(Some(OsStr::new(&format!("@{name}"))), watchdog))
    }

    fn heard(manager: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 256];
        let length = manager.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    #[test]
    fn a_status_is_one_line() {
        let (manager, mut notify) = pair("status", None);
        notify.ready("all\nis well");
        assert_eq!(heard(&manager).as_deref(), Some("READY=1\nSTATUS=all is well\n"));
        assert_eq!(heard(&manager), None);
    }

    #[test]
    fn a_watchdog_is_told_before_half_of_its_time_is_over() {
        let (manager, mut notify) = pair("watchdog", Some(Duration::from_secs(60)));
        notify.alive(Duration::from_secs(1));
        assert_eq!(heard(&manager), None);
        notify.alive(Duration::from_secs(30));
        assert_eq!(heard(&manager).as_deref(), Some("WATCHDOG=1\n"));
        let (manager, mut notify) = pair("none", None);
        notify.alive(Duration::from_secs(3600));
        assert_eq!(heard(&manager), None);
    }

    #[test]
    fn a_manager_that_takes_nothing_holds_nobody_up() {
        let (_manager, mut notify) = pair("deaf", None);
        for _ in 0..10_000 {
            notify.status("again");
        }
        assert!(notify.has_failed);
    }

    #[test]
    fn nobody_is_told_where_nobody_asked() {
        for address in [None, Some("vsock:2:1234"), Some("")] {
            let mut notify = Notify::to(address.map(OsStr::new), None);
            notify.ready("nobody hears this");
            assert!(notify.socket.is_none() && !notify.has_failed);
        }
    }
}
