//! /proc/PID/status: `Name:\tvalue` lines. The kernel escapes newlines in the name, so that a
//! process cannot write lines of its own.

use super::stat::number;
use crate::observation::Ids;

/// What the sensor reads of /proc/PID/status; a line that is missing is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Thread group id.
    pub tgid: Option<u32>,
    /// Real and effective user id.
    pub user: Option<Ids>,
    /// Real and effective group id.
    pub group: Option<Ids>,
    /// Process id in the innermost PID namespace.
    pub vpid: Option<u32>,
}

/// Parses as many lines as there are: the list of groups can make the file longer than a buffer.
pub fn parse(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        // A line that was cut could hold half a number.
        let Some(line) = line.strip_suffix(b"\n") else { break };
        if let Some(value) = line.strip_prefix(b"Tgid:") {
            status.tgid = values(value).next().and_then(number);
        } else if let Some(value) = line.strip_prefix(b"Uid:") {
            status.user = ids(value);
        } else if let Some(value) = line.strip_prefix(b"Gid:") {
            status.group = ids(value);
        } else if let Some(value) = line.strip_prefix(b"NSpid:") {
            status.vpid = values(value).last().and_then(number);
            break;
        }
    }
    status
}

fn ids(value: &[u8]) -> Option<Ids> {
    let mut values = values(value);
    Some(Ids { real: number(values.next()?)?, effective: number(values.next()?)? })
}

fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let text = b"Name:\tsh\\nUid:\t9\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t70\nNgid:\t0\n\
            Pid:\t70\nPPid:\t1\nTracerPid:\t0\nUid:\t1000\t0\t0\t0\nGid:\t100\t5\t5\t5\nFDSize:\t64\n\
            Groups:\t1 2 3 \nNStgid:\t70\t8\t1\nNSpid:\t70\t8\t1\nNSpgid:\t0\n";
        assert_eq!(
            parse(text),
            Status {
                tgid: Some(70),
                user: Some(Ids { real: 1000, effective: 0 }),
                group: Some(Ids { real: 100, effective: 5 }),
                vpid: Some(1),
            }
        );
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            parse(&bytes);
        }

        #[test]
        fn a_cut_file_holds_no_half_numbers(real: u32, effective: u32, keep in 0usize..200) {
            let text = format!("Tgid:\t7\nUid:\t{real}\t{effective}\t0\t0\nNSpid:\t7\t123456\n");
            let status = parse(&text.as_bytes()[..keep.min(text.len())]);
            let ids = Ids { real, effective };
            prop_assert!(status.user.is_none_or(|user| user == ids));
            prop_assert!(status.vpid.is_none_or(|vpid| vpid == 123_456));
        }
    }
}
