//! The kernels that there are tests on.

/// A kernel to test on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    V5_10,
    V6_1,
    V6_12,
    V7_2,
    /// Of machines of another kind.
    V6_12Arm64,
    /// 6.12 that keeps its memory from everybody: what secure boot does on some machines. Probes are loaded by no one.
    Locked,
    /// The one that is running, without a virtual machine.
    Native,
}

/// All of them, oldest first.
pub(crate) const ALL: [Kernel; 7] = [
    Kernel::V5_10,
    Kernel::V6_1,
    Kernel::V6_12,
    Kernel::V7_2,
    Kernel::V6_12Arm64,
    Kernel::Locked,
    Kernel::Native,
];

/// By day: the oldest that is served, the one without BPF, and this machine's.
pub(crate) const DAILY: [Kernel; 3] = [Kernel::V5_10, Kernel::Locked, Kernel::Native];

/// Where an image is in Debian's archive.
pub(super) struct Source {
    /// Its version's first two numbers.
    pub(super) series: &'static str,
    /// The release that ships this series.
    pub(super) release: &'static str,
    /// What names of packages that hold an image begin with.
    pub(super) package: &'static str,
    pub(super) machine: &'static Machine,
}

/// A kind of machine, emulated.
pub(super) struct Machine {
    /// As Debian calls it.
    pub(super) debian: &'static str,
    /// As rustc calls it.
    pub(super) triple: &'static str,
    /// The program that is one, and its package.
    pub(super) qemu: (&'static str, &'static str),
    /// Its arguments that are about the machine.
    pub(super) arguments: &'static [&'static str],
    /// What a kernel calls the serial line.
    pub(super) console: &'static str,
}

const AMD64: Machine = Machine {
    debian: "amd64",
    triple: "x86_64-unknown-linux-gnu",
    qemu: ("qemu-system-x86_64", "qemu-system-x86"),
    arguments: &[],
    console: "ttyS0",
};

const ARM64: Machine = Machine {
    debian: "arm64",
    triple: "aarch64-unknown-linux-gnu",
    qemu: ("qemu-system-aarch64", "qemu-system-arm"),
    arguments: &["-machine", "virt"],
    console: "ttyAMA0",
};

impl Kernel {
    /// As on the command line and in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7_2 => "7.2",
            Self::V6_12Arm64 => "6.12-arm64",
            Self::Locked => "6.12-locked",
            Self::Native => "native",
        }
    }

    /// Nowhere for the one that is running.
    pub(super) fn source(self) -> Option<Source> {
        let (series, release, package) = match self {
            Self::V5_10 => ("5.10", "bullseye", "linux-image"),
            Self::V6_1 => ("6.1", "bookworm", "linux-image"),
            Self::V6_12 | Self::V6_12Arm64 | Self::Locked => ("6.12", "trixie", "linux-image"),
            // Since 7.1 linux-image-* holds no image, but wants the package that does.
            Self::V7_2 => ("7.2", "sid", "linux-binary"),
            Self::Native => return None,
        };
        let machine = if self == Self::V6_12Arm64 { &ARM64 } else { &AMD64 };
        Some(Source { series, release, package, machine })
    }

    /// What it is told at boot beside what all are told.
    pub(super) fn parameters(self) -> &'static str {
        match self {
            Self::Locked => "lockdown=confidentiality",
            _ => "",
        }
    }
}
