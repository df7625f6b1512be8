use super::*;

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wanglou-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn settings(&self) -> FileSettings {
        FileSettings {
            path: self.0.join("events.json"),
            max_bytes: 100,
            keep: 2,
            compression: Compression::None,
            ..FileSettings::default()
        }
    }

    /// The files beside the one that is written, by name.
    fn older(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("a folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| !path.ends_with("events.json"));
        paths.sort();
        paths
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lines(bytes: usize) -> Vec<u8> {
    let mut lines = vec![b'x'; bytes];
    lines[bytes - 1] = b'\n';
    lines
}

fn write(file: &mut File, bytes: &[u8]) {
    let (written, result) = file.write(bytes);
    result.expect("room");
    assert_eq!(written, bytes.len());
}

#[test]
fn a_full_one_is_turned_over_and_the_oldest_goes() {
    let folder = Folder::new("turned");
    let mut file = File::new(folder.settings());
    for n in 1..=4 {
        write(&mut file, &lines(60 + n));
    }
    let sizes: Vec<_> =
        folder.older().iter().map(|path| fs::metadata(path).expect("a file").len()).collect();
    assert_eq!(sizes, [62, 63], "two are kept, the oldest is gone");
    assert_eq!(fs::metadata(&folder.settings().path).expect("a file").len(), 64);
}

#[test]
fn one_that_is_larger_than_a_file_has_it_for_itself() {
    let folder = Folder::new("large");
    let mut file = File::new(folder.settings());
    write(&mut file, &lines(500));
    write(&mut file, &lines(10));
    assert_eq!(fs::metadata(&folder.older()[0]).expect("a file").len(), 500);
}

#[test]
fn half_a_line_of_one_who_was_killed_is_ended() {
    let folder = Folder::new("half");
    let settings = folder.settings();
    fs::write(&settings.path, "whole\nha").expect("a file");
    write(&mut File::new(settings.clone()), b"next\n");
    assert_eq!(fs::read_to_string(&settings.path).expect("text"), "whole\nha\nnext\n");
}

#[test]
fn one_that_was_moved_away_is_begun_anew() {
    let folder = Folder::new("moved");
    let settings = folder.settings();
    let mut file = File::new(settings.clone());
    write(&mut file, b"one\n");
    fs::rename(&settings.path, folder.0.join("elsewhere")).expect("moved");
    write(&mut file, b"two\n");
    assert_eq!(fs::read_to_string(&settings.path).expect("text"), "two\n");
}

#[test]
fn what_is_packed_is_the_same() {
    let folder = Folder::new("packed");
    let path = folder.0.join("events-20261122T201740.123456Z.json");
    let text = lines(200_000);
    fs::write(&path, &text).expect("a file");
    packing::pack(&path).expect("packed");
    let packed = shelf::packed(&path);
    assert!(!path.exists() && packed.exists());
    let file = fs::File::open(packed).expect("a file");
    assert_eq!(zstd::decode_all(file).expect("Zstandard"), text);
}

#[test]
fn nothing_else_in_the_folder_is_touched() {
    let folder = Folder::new("others");
    let theirs =
        ["events-old.json", "events.json.bak", "events-20261122T201740.123456Z.txt", "notes"];
    for name in theirs {
        fs::write(folder.0.join(name), "theirs").expect("a file");
    }
    let unfinished = folder.0.join("events-20261122T201740.123456Z.json.zst.part");
    fs::write(&unfinished, "half").expect("a file");
    let mut file = File::new(FileSettings { keep: 0, ..folder.settings() });
    write(&mut file, &lines(90));
    write(&mut file, &lines(90));
    assert!(!unfinished.exists(), "nobody packs it any more");
    let left: Vec<_> = folder.older();
    assert_eq!(left.len(), theirs.len(), "{left:?}");
}

#[test]
fn what_cannot_be_opened_is_tried_again_later() {
    let folder = Folder::new("again");
    let settings = folder.settings();
    fs::create_dir(&settings.path).expect("a folder in its place");
    let mut file = File::new(settings.clone());
    assert_eq!(file.write(b"one\n").0, 0);
    fs::remove_dir(&settings.path).expect("empty");
    assert!(file.write(b"two\n").1.is_err(), "not before its time");
    file.retry_at = 0;
    write(&mut file, b"three\n");
    assert_eq!(fs::read_to_string(&settings.path).expect("text"), "three\n");
}
