//! Error numbers of the kernel by their names (errno(3)): those that a connection can end with.

/// The name of an error number; `None` for one that no connection ends with.
pub fn name(errno: u32) -> Option<&'static str> {
    let named = NAMES.iter().find(|(number, _)| i32::try_from(errno) == Ok(*number));
    named.map(|(_, name)| *name)
}

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name)),)*] };
}

const NAMES: &[(i32, &str)] = names! {
    ECONNREFUSED ETIMEDOUT ECONNRESET EPIPE EHOSTUNREACH ENETUNREACH ECONNABORTED EACCES EPERM
    EADDRNOTAVAIL EADDRINUSE EAFNOSUPPORT EAGAIN EHOSTDOWN EINTR EINVAL EIO EISCONN EKEYREJECTED
    EMSGSIZE ENETDOWN ENETRESET ENOBUFS ENODEV ENOENT ENOMEM ENONET ENOPROTOOPT ENOTCONN EOPNOTSUPP
    EPROTO ESHUTDOWN
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_ends_with_has_its_name() {
        let names = [111, 110, 104, 113, 0, u32::MAX].map(name);
        let known = ["ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "EHOSTUNREACH"].map(Some);
        assert_eq!(names[..4], known);
        assert_eq!(names[4..], [None, None]);
    }
}
