//! The journal of systemd: whether it reads our standard error, and its own protocol.

use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::record::Record;

/// Where it listens (`systemd-journald.service(8)`).
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether standard error goes to the journal: the variable names that stream by device and inode, as
/// `systemd.exec(5)` has it, and we may have inherited it from somebody with another one.
pub(super) fn reads_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stat = rustix::fs::fstat(rustix::stdio::stderr());
    stat.is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The way to it: a packet for each message, a line for each field.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    program: &'static str,
    packet: String,
}

impl Journal {
    pub(super) fn open(path: &Path, program: &'static str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A journal that is stuck is not waited for.
        socket.set_nonblocking(true)?;
        socket.connect(path)?;
        Ok(Self { socket, program, packet: String::new() })
    }

    pub(super) fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Record { level, process, module, id, message, fields, .. } = record;
        self.packet.clear();
        // No part has an end of line in it, and writing to a string cannot fail.
        _ = write!(
            self.packet,
            "MESSAGE={message}{fields}\nPRIORITY={}\nSYSLOG_IDENTIFIER={}\n\
             WANGLOU_PROCESS={process}\nWANGLOU_MODULE={module}\n",
            level.priority(),
            self.program
        );
        if !id.is_empty() {
            _ = writeln!(self.packet, "WANGLOU_ID={id}");
        }
        self.socket.send(self.packet.as_bytes()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Level, record};
    use super::*;

    #[test]
    fn a_message_is_a_packet_of_fields() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let theirs = UnixDatagram::bind(&path).expect("a socket");
        let mut journal = Journal::open(&path, "wanglou-sensor").expect("a journal");
        let record = Record {
            at: record::now(),
            level: Level::Error,
            process: "supervisor",
            module: "service",
            id: "WL1001",
            message: "gone",
            fields: " signal=9",
        };
        journal.write(&record).expect("written");
        let mut packet = [0; 1024];
        let len = theirs.recv(&mut packet).expect("a packet");
        assert_eq!(
            str::from_utf8(&packet[..len]),
            Ok("MESSAGE=gone signal=9\nPRIORITY=3\nSYSLOG_IDENTIFIER=wanglou-sensor\n\
                WANGLOU_PROCESS=supervisor\nWANGLOU_MODULE=service\nWANGLOU_ID=WL1001\n")
        );
    }
}
