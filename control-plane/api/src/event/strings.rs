/// A list of strings that is somebody else's: a slice of them, or the bytes as the kernel keeps them.
#[derive(Clone, Copy, Debug)]
pub enum Strings<'a> {
    /// One string after another.
    Slice(&'a [&'a str]),
    /// Each ended by a NUL; the last NUL may be missing where the list was cut.
    Nul(&'a str),
}

impl<'a> Strings<'a> {
    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (slice, nul) = match *self {
            Self::Slice(strings) => (strings, ""),
            Self::Nul(bytes) => (&[][..], bytes),
        };
        slice.iter().copied().chain(nul.split_terminator('\0'))
    }

    /// Whether there is none at all; one empty string is one.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Slice(strings) => strings.is_empty(),
            Self::Nul(bytes) => bytes.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Strings;

    fn listed(bytes: &str) -> Vec<&str> {
        Strings::Nul(bytes).iter().collect()
    }

    #[test]
    fn nul_ended_strings_keep_the_empty_ones_and_a_cut_tail() {
        assert_eq!(listed(""), [""; 0]);
        assert_eq!(listed("\0"), [""]);
        assert_eq!(listed("a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(listed("a\0\0"), ["a", ""]);
        assert_eq!(listed("a\0cu"), ["a", "cu"]);
    }

    #[test]
    fn both_kinds_are_the_same_list() {
        let slice = Strings::Slice(&["a", "", "b"]);
        assert_eq!(slice.iter().collect::<Vec<_>>(), listed("a\0\0b\0"));
        assert!(!slice.is_empty() && !Strings::Nul("\0").is_empty());
        assert!(Strings::Slice(&[]).is_empty() && Strings::Nul("").is_empty());
    }
}
