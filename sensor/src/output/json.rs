use wanglou_api::event::{Event, Json};

/// One object, one line: the JSON of an event has no newline inside.
pub(super) fn write(event: &Event<'_>, line: &mut Vec<u8>) {
    event.write_json(line);
    line.push(b'\n');
}
