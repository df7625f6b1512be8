//! From jemalloc's text (`heap_v2`) to what `pprof` reads: its `profile.proto`, compressed. No library does
//! it whole: the one that there is knows bytes in use only, and writes to a disk on its way.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use thiserror::Error;

/// Why text is no profile.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line} of jemalloc's profile is not as expected")]
pub(super) struct ProfileError {
    line: usize,
}

/// The allocator's own frames, which `pprof` leaves out: who asked for the memory is what matters.
const ALLOCATOR: &str = "_rjem_.*";

/// Objects and bytes.
type Pair = [u64; 2];

/// What was sampled on one stack.
#[derive(Debug, Default, PartialEq)]
struct Stack {
    addresses: Vec<u64>,
    in_use: Pair,
    allocated: Pair,
}

/// What jemalloc wrote.
#[derive(Debug, Default)]
struct Text {
    /// Mean bytes between two samples.
    interval: u64,
    stacks: Vec<Stack>,
    mappings: Vec<proto::Mapping>,
    names: Vec<String>,
}

/// A profile for `pprof`, gzip'd; `allocated`: what was freed again is counted too, and shown first.
pub(super) fn convert(text: &str, allocated: bool) -> Result<Vec<u8>, ProfileError> {
    let profile = profile(parse(text)?, allocated);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Memory takes everything.
    let done: io::Result<Vec<u8>> =
        gzip.write_all(&profile.encode_to_vec()).and_then(|()| gzip.finish());
    done.map_err(|_| ProfileError { line: 0 })
}

fn parse(text: &str) -> Result<Text, ProfileError> {
    let mut lines = text.lines().enumerate();
    let wrong = |line: usize| ProfileError { line: line + 1 };
    let interval = lines.next().and_then(|(_, line)| line.strip_prefix("heap_v2/")?.parse().ok());
    let mut read = Text { interval: interval.ok_or(wrong(0))?, ..Text::default() };
    for (n, line) in lines.by_ref() {
        if line.starts_with("MAPPED_LIBRARIES:") {
            break;
        }
        if let Some(addresses) = line.strip_prefix('@') {
            let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
            let addresses = addresses.split_whitespace().map(hex).collect::<Option<_>>();
            let addresses = addresses.ok_or(wrong(n))?;
            read.stacks.push(Stack { addresses, ..Stack::default() });
        } else if let (Some(counts), Some(stack)) =
            (line.trim_start().strip_prefix("t*:"), read.stacks.last_mut())
        {
            (stack.in_use, stack.allocated) = counts_of(counts).ok_or(wrong(n))?;
        }
    }
    for (_, line) in lines {
        if let Some((mapping, name)) = mapping(line, read.mappings.len() as u64 + 1) {
            read.mappings.push(mapping);
            read.names.push(name.to_owned());
        }
    }
    Ok(read)
}

/// ` 13: 6688 [20: 9000]`: in use, and allocated so far.
fn counts_of(text: &str) -> Option<(Pair, Pair)> {
    let pair = |text: &str| -> Option<Pair> {
        let (objects, bytes) = text.split_once(':')?;
        Some([objects.trim().parse().ok()?, bytes.trim().parse().ok()?])
    };
    let (in_use, allocated) = text.split_once('[')?;
    Some((pair(in_use)?, pair(allocated.strip_suffix(']')?)?))
}

/// A line of `proc_pid_maps(5)`, if it is code.
fn mapping(line: &str, id: u64) -> Option<(proto::Mapping, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, limit) = fields.next()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    if !fields.next()?.contains('x') {
        return None;
    }
    let file_offset = hex(fields.next()?)?;
    let name = fields.nth(2).unwrap_or("//anon");
    let mapping = proto::Mapping {
        id,
        memory_start: hex(start)?,
        memory_limit: hex(limit)?,
        file_offset,
        filename: 0,
    };
    Some((mapping, name))
}

/// What a sample stands for: an allocation of `bytes` is sampled with probability 1 - e^(-bytes/interval).
fn scaled([objects, bytes]: Pair, interval: u64) -> [i64; 2] {
    if objects == 0 || bytes == 0 || interval == 0 {
        return [objects, bytes].map(u64::cast_signed);
    }
    let mean = bytes as f64 / objects as f64;
    let scale = 1.0 / -(-mean / interval as f64).exp_m1();
    [objects, bytes].map(|count| (count as f64 * scale) as i64)
}

fn profile(text: Text, allocated: bool) -> proto::Profile {
    let mut strings = Strings::default();
    let mut kind = |name: &str, unit: &str| proto::ValueType {
        kind: strings.number(name),
        unit: strings.number(unit),
    };
    let mut sample_type = vec![kind("inuse_objects", "count"), kind("inuse_space", "bytes")];
    if allocated {
        let more = [kind("alloc_objects", "count"), kind("alloc_space", "bytes")];
        sample_type.splice(0..0, more);
    }
    let period_type = Some(kind("space", "bytes"));
    let default = if allocated { "alloc_space" } else { "inuse_space" };
    let mut profile = proto::Profile {
        default_sample_type: strings.number(default),
        drop_frames: strings.number(ALLOCATOR),
        sample_type,
        period_type,
        period: text.interval.cast_signed(),
        time_nanos: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as i64),
        ..proto::Profile::default()
    };
    let mut locations = HashMap::new();
    for stack in &text.stacks {
        let mut location_id = Vec::with_capacity(stack.addresses.len());
        for address in &stack.addresses {
            let id = locations.len() as u64 + 1;
            location_id.push(*locations.entry(address).or_insert_with(|| {
                // Where the call is, not where it returns to.
                let address = address.saturating_sub(1);
                let of =
                    |it: &&proto::Mapping| (it.memory_start..it.memory_limit).contains(&address);
                let mapping_id = text.mappings.iter().find(of).map_or(0, |it| it.id);
                profile.location.push(proto::Location { id, mapping_id, address });
                id
            }));
        }
        let mut value = scaled(stack.in_use, text.interval).to_vec();
        if allocated {
            value.splice(0..0, scaled(stack.allocated, text.interval));
        }
        profile.sample.push(proto::Sample { location_id, value });
    }
    profile.mapping = text.mappings;
    for (mapping, name) in profile.mapping.iter_mut().zip(&text.names) {
        mapping.filename = strings.number(name);
    }
    profile.string_table = strings.0;
    profile
}

/// Texts by their number; 0 is none.
struct Strings(Vec<String>);

impl Default for Strings {
    fn default() -> Self {
        Self(vec![String::new()])
    }
}

impl Strings {
    fn number(&mut self, text: &str) -> i64 {
        let found = self.0.iter().position(|known| known == text);
        found.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        }) as i64
    }
}

/// What we need of `profile.proto` of pprof.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub(super) sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub(super) sample: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) mapping: Vec<Mapping>,
        #[prost(message, repeated, tag = "4")]
        pub(super) location: Vec<Location>,
        #[prost(string, repeated, tag = "6")]
        pub(super) string_table: Vec<String>,
        #[prost(int64, tag = "7")]
        pub(super) drop_frames: i64,
        #[prost(int64, tag = "9")]
        pub(super) time_nanos: i64,
        #[prost(message, optional, tag = "11")]
        pub(super) period_type: Option<ValueType>,
        #[prost(int64, tag = "12")]
        pub(super) period: i64,
        #[prost(int64, tag = "14")]
        pub(super) default_sample_type: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ValueType {
        #[prost(int64, tag = "1")]
        pub(super) kind: i64,
        #[prost(int64, tag = "2")]
        pub(super) unit: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub(super) location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub(super) value: Vec<i64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Mapping {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(uint64, tag = "2")]
        pub(super) memory_start: u64,
        #[prost(uint64, tag = "3")]
        pub(super) memory_limit: u64,
        #[prost(uint64, tag = "4")]
        pub(super) file_offset: u64,
        #[prost(int64, tag = "5")]
        pub(super) filename: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Location {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(uint64, tag = "2")]
        pub(super) mapping_id: u64,
        #[prost(uint64, tag = "3")]
        pub(super) address: u64,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "heap_v2/524288\n  t*: 2: 1052672 [0: 0]\n  t0: 2: 1052672 [0: 0]\n\
        @ 0x1010 0x1020\n  t*: 1: 4096 [3: 12288]\n  t0: 1: 4096 [3: 12288]\n\
        @ 0x1010 0x9999\n  t*: 1: 1048576 [1: 1048576]\n  t0: 1: 1048576 [1: 1048576]\n\n\
        MAPPED_LIBRARIES:\n00000800-00001000 r--p 00000000 08:01 77    /bin/it\n\
        00001000-00002000 r-xp 00000800 08:01 77    /bin/it\n";

    fn decoded(gzip: &[u8]) -> proto::Profile {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut bytes).expect("gzip");
        proto::Profile::decode(&*bytes).expect("a profile")
    }

    #[test]
    fn a_profile_says_what_the_text_says() {
        let profile = decoded(&convert(TEXT, false).expect("a profile"));
        let name = |number: i64| profile.string_table[number as usize].as_str();
        let kinds: Vec<_> = profile.sample_type.iter().map(|it| name(it.kind)).collect();
        assert_eq!(kinds, ["inuse_objects", "inuse_space"]);
        assert_eq!((name(profile.default_sample_type), name(0)), ("inuse_space", ""));
        assert_eq!(name(profile.drop_frames), ALLOCATOR);
        assert_eq!(profile.sample[0].location_id, [1, 2]);
        assert_eq!(profile.sample[1].location_id, [1, 3]);
        let [near, far] = [0, 2].map(|n: usize| &profile.location[n]);
        assert_eq!((near.address, near.mapping_id, far.mapping_id), (0x100f, 1, 0));
        assert_eq!(
            (profile.mapping[0].file_offset, name(profile.mapping[0].filename)),
            (0x800, "/bin/it")
        );
        // One sample of 4 KiB in 512 KiB stands for 128.5 of them, one of 1 MiB for hardly more than itself.
        assert_eq!(profile.sample[0].value, [128, 526_338]);
        assert_eq!(profile.sample[1].value, [1, 1_212_696]);
    }

    #[test]
    fn what_was_freed_comes_first_if_it_is_asked_for() {
        let profile = decoded(&convert(TEXT, true).expect("a profile"));
        assert_eq!(profile.sample_type.len(), 4);
        assert_eq!(profile.sample[0].value, [385, 1_579_015, 128, 526_338]);
    }

    #[test]
    fn what_is_no_profile_is_refused_by_its_line() {
        for (text, line) in [
            ("", 1),
            ("heap_v1/3\n", 1),
            ("heap_v2/8\n@ 0x1 x\n", 2),
            ("heap_v2/8\n@\n t*: 1\n", 3),
        ] {
            assert_eq!(convert(text, false), Err(ProfileError { line }), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(heap_v2/[0-9]{1,20}\n)?(@ 0x[0-9a-f]{0,17}\n)?( t\\*: ?[0-9]{0,20}: ?[0-9]{0,20} \\[[0-9:]{0,9}\\]\n)?\\PC{0,40}") {
            let _ = convert(&text, true);
        }
    }
}
