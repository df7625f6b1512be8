/// Turns names from the leaf up, each ended by a NUL, into a path; one whose top is missing begins
/// with an ellipsis instead of the root.
pub(super) fn turn_round<'a>(names: &[u8], cut: bool, path: &'a mut Vec<u8>) -> &'a [u8] {
    path.clear();
    if cut {
        path.extend_from_slice("…".as_bytes());
    }
    let names = names.strip_suffix(&[0]).unwrap_or(names);
    if !names.is_empty() {
        for name in names.rsplit(|&byte| byte == 0) {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    } else if !cut {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::turn_round;

    #[test]
    fn names_become_a_path() {
        let mut path = Vec::new();
        assert_eq!(turn_round(b"true\0bin\0usr\0", false, &mut path), b"/usr/bin/true");
        assert_eq!(turn_round(b"", false, &mut path), b"/");
        assert_eq!(turn_round(b"b\0a\0", true, &mut path), "…/a/b".as_bytes());
        assert_eq!(turn_round(b"", true, &mut path), "…".as_bytes());
    }
}
