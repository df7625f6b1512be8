//! Bytes as text: what is not UTF-8 is written as `\xNN`, and the field is remembered.

/// Appends `bytes` to `out`; `true` if some were not UTF-8.
pub(super) fn push(bytes: &[u8], out: &mut String) -> bool {
    let mut escaped = false;
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            const HEX: [char; 16] =
                ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
            out.push_str("\\x");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            escaped = true;
        }
    }
    escaped
}

/// `bytes` as text, in place where they are UTF-8.
pub(super) fn text<'a>(bytes: &'a [u8], scratch: &'a mut String) -> (&'a str, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text, false);
    }
    scratch.clear();
    push(bytes, scratch);
    (scratch, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_bytes_are_escaped() {
        let mut scratch = String::new();
        assert_eq!(text("望楼\n".as_bytes(), &mut scratch), ("望楼\n", false));
        assert_eq!(text(b"a\xffb\x80", &mut scratch), ("a\\xFFb\\x80", true));
    }
}
