//! What a runtime says of a container, cut to a size.

/// Bytes of a name, an image's or a pod's, at most.
const TEXT_BYTES: usize = 256;
/// Bytes of all labels together, each with its NUL, at most.
const LABELS_BYTES: usize = 512;

/// What is known of a container. What is empty is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// What the runtime calls itself.
    pub runtime: String,
    /// Who said so.
    pub source: Source,
    /// The container's name.
    pub name: String,
    /// Its image's.
    pub image: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub pod_id: String,
    /// Labels, of the pod if there is one: `key=value` and a NUL each.
    pub labels: String,
}

/// Who can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A runtime of Kubernetes.
    #[default]
    Cri,
    /// Docker, or who speaks like it.
    Docker,
}

impl Source {
    /// `event.provider`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cri => "cri",
            Self::Docker => "docker",
        }
    }
}

/// The front of a text.
pub(super) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES)].to_owned()
}

/// As many labels as have room, in the order of their keys; one with a NUL in it is none.
pub(super) fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<_> = labels.collect();
    sorted.sort_unstable();
    let mut text = String::new();
    for (key, value) in sorted {
        let bytes = key.len() + value.len() + "=\0".len();
        if text.len() + bytes <= LABELS_BYTES && !key.contains('\0') && !value.contains('\0') {
            text.extend([key, "=", value, "\0"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_bounded() {
        let long = "x".repeat(LABELS_BYTES);
        let all = [("b", "2"), ("long", &long), ("a", "1"), ("z", ""), ("nul", "\0")];
        assert_eq!(labels(all.into_iter()), "a=1\0b=2\0z=\0");
        let many: Vec<_> = (0..1000).map(|n| format!("k{n}")).collect();
        let text = labels(many.iter().map(|key| (&**key, "v")));
        assert!(text.len() <= LABELS_BYTES && text.len() > LABELS_BYTES - 16);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let text = format!("{}望楼", "x".repeat(TEXT_BYTES - 2));
        assert_eq!(cut(&text).len(), TEXT_BYTES - 2);
        assert_eq!(cut("short"), "short");
    }
}
