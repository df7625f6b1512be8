//! What the symbolic links of /proc/PID say: `exe`, `cwd`, `root` and `ns/*`.

use super::stat::number;

const DELETED: &[u8] = b" (deleted)";
const MEMFD: &[u8] = b"/memfd:";

/// A path out of `exe` or `cwd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The path in the process's own root, without what the kernel appended.
    pub path: &'a [u8],
    /// The file has no name any more.
    pub deleted: bool,
    /// It is an anonymous file of `memfd_create(2)`, which never had one.
    pub memfd: bool,
}

/// The text ends as those of unlinked files do, or as the name of a file that is called so;
/// only the file's link count tells.
pub fn may_be_deleted(text: &[u8]) -> bool {
    text.ends_with(DELETED)
}

/// Reads the text of a link. `root` is the text of the process's `root` link, and `unlinked` says
/// that the file has no link left.
///
/// The kernel writes paths from the root of their mount namespace, wherever the process's own root
/// is (`d_path`, `fs/d_path.c`): a container's are as the container sees them, those of a process in
/// a chroot have the way to it in front.
pub fn target<'a>(text: &'a [u8], root: &[u8], unlinked: bool) -> Target<'a> {
    let named = text.strip_suffix(DELETED).filter(|_| unlinked);
    let path = named.unwrap_or(text);
    let memfd = named.is_some() && path.starts_with(MEMFD);
    let path = if memfd { path } else { below(path, root) };
    Target { path, deleted: named.is_some(), memfd }
}

/// `path` as seen from `root`; a path elsewhere stays as it is.
fn below<'a>(path: &'a [u8], root: &[u8]) -> &'a [u8] {
    if root == b"/" {
        return path;
    }
    match path.strip_prefix(root) {
        Some(b"") => b"/",
        Some(rest) if rest.starts_with(b"/") => rest,
        _ => path,
    }
}

/// The inode number in a link such as `pid:[4026531836]`.
pub fn namespace(text: &[u8]) -> Option<u32> {
    let bracket = text.iter().position(|&byte| byte == b'[')?;
    number(text.get(bracket + 1..)?.strip_suffix(b"]")?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(path: &[u8]) -> Target<'_> {
        Target { path, deleted: false, memfd: false }
    }

    #[test]
    fn a_chroot_is_taken_off() {
        assert_eq!(target(b"/srv/jail/bin/sh", b"/srv/jail", false), plain(b"/bin/sh"));
        assert_eq!(target(b"/srv/jail", b"/srv/jail", false), plain(b"/"));
        assert_eq!(target(b"/srv/jailer/sh", b"/srv/jail", false), plain(b"/srv/jailer/sh"));
        assert_eq!(target(b"/bin/sh", b"/", false), plain(b"/bin/sh"));
    }

    #[test]
    fn only_unlinked_files_are_deleted() {
        let text = b"/tmp/x (deleted)";
        assert_eq!(target(text, b"/", false), plain(text));
        assert_eq!(
            target(text, b"/", true),
            Target { path: b"/tmp/x", deleted: true, memfd: false }
        );
    }

    #[test]
    fn anonymous_files_are_recognised() {
        assert_eq!(
            target(b"/memfd:tool (deleted)", b"/jail", true),
            Target { path: b"/memfd:tool", deleted: true, memfd: true }
        );
        assert_eq!(target(b"/memfd:tool", b"/", false), plain(b"/memfd:tool"));
    }

    #[test]
    fn namespaces_are_numbers() {
        assert_eq!(namespace(b"pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(namespace(b"pid:[]"), None);
        assert_eq!(namespace(b"pid"), None);
    }

    proptest! {
        #[test]
        fn survives_any_bytes(text: Vec<u8>, root: Vec<u8>, unlinked: bool) {
            let target = target(&text, &root, unlinked);
            prop_assert!(target.path.len() <= text.len().max(1));
            namespace(&text);
        }

        #[test]
        fn a_path_below_a_root_is_found_again(root in "(/[a-z]{1,4}){1,3}", path in "(/[a-z]{1,4}){1,3}") {
            let text = format!("{root}{path}");
            prop_assert_eq!(target(text.as_bytes(), root.as_bytes(), false).path, path.as_bytes());
        }
    }
}
