use proptest::prelude::*;
use wanglou_sensor_common::event::{Exec, flags};
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::*;
use crate::observation::{Action, Turn};

fn exec(body: Exec, parts: &[&[u8]]) -> Vec<u8> {
    let variable = parts.concat();
    let mut header = Header::new_zeroed();
    header.version = LAYOUT_VERSION;
    header.kind = Kind::Exec as u16;
    header.len = (size_of::<Header>() + size_of::<Exec>() + variable.len()) as u32;
    header.pid = 7;
    [header.as_bytes(), body.as_bytes(), &variable].concat()
}

#[test]
fn an_exec_is_taken_apart() {
    let mut body = Exec::new_zeroed();
    (body.exe_len, body.cwd_len, body.head_len) = (7, 4, 6);
    (body.argc, body.args_bytes, body.comm[0]) = (2, 6, b'x');
    let record = exec(body, &[b"sh\0bin\0", b"tmp\0", b"sh\0-c\0"]);

    let mut decoder = Decoder::default();
    let seen = decoder.decode(&record).unwrap();

    assert_eq!((seen.pid, seen.start, seen.state.name), (7, None, Some(&b"x"[..])));
    let Action::Exec(image) = seen.action else { panic!("{:?}", seen.action) };
    assert_eq!(image.executable, Some(&b"/bin/sh"[..]));
    assert_eq!(image.working_directory, Some(&b"/tmp"[..]));
    assert_eq!(image.args.unwrap().head, b"sh\0-c\0");
    assert!(!image.memfd && !image.deleted);
}

#[test]
fn a_memfd_is_known_by_hanging_in_no_tree() {
    let mut body = Exec::new_zeroed();
    body.exe_len = 8;
    let named = exec(body, &[b"memfd:x\0"]);
    body.flags = flags::DETACHED | flags::DELETED;
    let real = exec(body, &[b"memfd:x\0"]);
    let memfd = |record: &[u8]| match Decoder::default().decode(record).unwrap().action {
        Action::Exec(image) => image.memfd,
        _ => panic!("not an exec"),
    };
    assert!(memfd(&real) && !memfd(&named));
}

#[test]
fn strangers_are_refused_by_name() {
    let good = exec(Exec::new_zeroed(), &[]);
    let with = |at: usize, byte: u8| {
        let mut record = good.clone();
        record[at] = byte;
        Decoder::default().decode(&record).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(0, 9), Refused::Version(9));
    assert_eq!(with(2, 77), Refused::Kind(77));
    assert_eq!(with(4, 3), Refused::Short(good.len()));
}

/// What the fuzzer begins with is refused by nobody, or it would begin with nothing.
#[test]
fn the_seeds_of_the_fuzzer_are_records() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/ring_record");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let record = std::fs::read(&path).unwrap();
        let refused = Decoder::default().decode(&record).err();
        assert_eq!(refused, None, "{}", path.display());
    }
}

#[test]
fn an_address_that_is_mapped_is_the_one_it_stands_for() {
    let record = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/ring_record/flow"));
    let record = record.unwrap();
    let mut decoder = Decoder::default();
    let Action::Connection(flow) = decoder.decode(&record).unwrap().action else {
        panic!("a flow")
    };
    assert_eq!(flow.local.to_string(), "127.0.0.1:5353");
    let Turn::Flow(sums) = flow.turn else { panic!("{:?}", flow.turn) };
    assert_eq!((sums.sent, sums.received), ((120, 3), (360, 3)));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(mut record in prop::collection::vec(any::<u8>(), 0..400), kind in 0_u16..14) {
        if record.len() >= 8 {
            record[..2].copy_from_slice(&LAYOUT_VERSION.to_ne_bytes());
            record[2..4].copy_from_slice(&kind.to_ne_bytes());
            let len = record.len() as u32;
            record[4..8].copy_from_slice(&len.to_ne_bytes());
        }
        let _ = Decoder::default().decode(&record);
        let _ = record_len(&record);
    }
}
