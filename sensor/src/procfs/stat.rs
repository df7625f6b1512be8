//! /proc/PID/stat: one line, whose second field is a name that may hold anything.

use crate::observation::NS_PER_TICK;

/// What the sensor reads of /proc/PID/stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The kernel's `comm`: spaces, parentheses and newlines included.
    pub name: &'a [u8],
    /// One letter: `R`, `S`, `Z`, …
    pub state: u8,
    /// Thread group id of the parent, 0 for none.
    pub parent: u32,
    /// Session, `None` while the process is being taken apart.
    pub session: Option<u32>,
    /// Controlling terminal, major and minor.
    pub tty: Option<(u32, u32)>,
    /// `PF_*` of include/linux/sched.h.
    pub flags: u32,
    /// Threads that the kernel still counts, the leader's own remains included.
    pub threads: u32,
    /// Start time since boot in ticks of `USER_HZ`.
    pub start_ticks: u64,
}

const PF_FORKNOEXEC: u32 = 0x0000_0040;
const PF_KTHREAD: u32 = 0x0020_0000;

impl Stat<'_> {
    /// Boot-clock start time, ns, rounded down to a tick.
    pub fn start(&self) -> u64 {
        self.start_ticks.saturating_mul(NS_PER_TICK)
    }

    /// It has not executed anything since it was forked.
    pub fn is_forked_image(&self) -> bool {
        self.flags & PF_FORKNOEXEC != 0
    }

    /// It is a thread of the kernel: without a file or arguments.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Its leader has exited. The process has, too, if it has no other thread.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// All its threads have exited.
    pub fn has_ended(&self) -> bool {
        self.is_zombie() && self.threads <= 1
    }
}

/// Parses the line, or says `None` if it isn't one that a kernel writes.
pub fn parse(line: &[u8]) -> Option<Stat<'_>> {
    let name_start = line.iter().position(|&byte| byte == b'(')? + 1;
    // Nothing after the name has a parenthesis, while the name can have any number of them.
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    let name = line.get(name_start..name_end)?;

    let rest = line.get(name_end + 1..)?.strip_prefix(b" ")?;
    let mut fields = rest.trim_ascii_end().split(|&byte| byte == b' ');
    let &[state] = fields.next()? else { return None };
    let parent = number(fields.next()?)?;
    let _process_group = fields.next()?;
    let session: i64 = number(fields.next()?)?;
    let tty: i32 = number(fields.next()?)?;
    let _foreground_group = fields.next()?;
    let flags = number(fields.next()?)?;
    // minflt cminflt majflt cmajflt utime stime cutime cstime priority nice
    let threads = number(fields.nth(10)?)?;
    let _itrealvalue = fields.next()?;
    let start_ticks = number(fields.next()?)?;

    Some(Stat {
        name,
        state,
        parent,
        session: u32::try_from(session).ok(),
        tty: device(tty.cast_unsigned()),
        flags,
        threads,
        start_ticks,
    })
}

/// Major and minor as the kernel packs them (`new_encode_dev`, `include/linux/kdev_t.h`).
fn device(encoded: u32) -> Option<(u32, u32)> {
    let major = (encoded >> 8) & 0xfff;
    let minor = (encoded & 0xff) | ((encoded >> 12) & 0xf_ff00);
    (encoded != 0).then_some((major, minor))
}

/// A decimal number and nothing else.
pub(super) fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(name: &[u8], session: i64, tty: u32, start: u64) -> Vec<u8> {
        let mut line = b"7 (".to_vec();
        line.extend_from_slice(name);
        let tty = tty.cast_signed();
        line.extend_from_slice(
            format!(") S 1 7 {session} {tty} -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 {start} 99 1\n")
                .as_bytes(),
        );
        line
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        let line = line(b"cat", 5, 34816, 123_456);
        assert_eq!(
            parse(&line),
            Some(Stat {
                name: b"cat",
                state: b'S',
                parent: 1,
                session: Some(5),
                tty: Some((136, 0)),
                flags: 4_194_368,
                threads: 3,
                start_ticks: 123_456,
            })
        );
    }

    #[test]
    fn a_process_being_taken_apart_has_no_session() {
        let line = line(b"cat", -1, 0, 1);
        let stat = parse(&line).expect("a line");
        assert_eq!((stat.session, stat.tty), (None, None));
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_name_is_kept_whole(name: Vec<u8>, start: u64, major in 1u32..4096, minor in 0u32..0x10_0000) {
            let tty = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
            let line = line(&name, 5, tty, start);
            let stat = parse(&line).expect("a line");
            prop_assert_eq!(stat.name, &name[..]);
            prop_assert_eq!(stat.start_ticks, start);
            prop_assert_eq!(stat.tty, Some((major, minor)));
        }

        #[test]
        fn half_a_line_is_refused(keep in 0usize..50) {
            let line = line(b"cat", 5, 0, 123);
            prop_assert_eq!(parse(&line[..keep]), None);
        }
    }
}
