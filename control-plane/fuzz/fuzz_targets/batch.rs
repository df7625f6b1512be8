//! A batch, as a host may have made it: what is taken is what prost takes, and can be asked for.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wanglou_api::sensor::v1::Batch;
use wanglou_lake::content::{BadBatch, Content};
use wanglou_lake::query::{Matcher, Query};

static MATCHER: LazyLock<Matcher> = LazyLock::new(|| {
    let filter = "process.pid > 1 OR process.args_count > 1 OR host.id LIKE '%a%'".to_owned();
    let query = Query { filter, until: i64::MAX, ..Query::default() };
    query.matcher().expect("a filter")
});

fuzz_target!(|content: &[u8]| {
    let events = zstd::bulk::compress(content, 1).expect("a frame");
    let content_bytes = content.len() as u32;
    let mut batch = Batch { events, content_bytes, ..Batch::default() };
    // It is told what it should have said, until it says that.
    let content = loop {
        match Content::of(&batch) {
            Ok(content) => break content,
            Err(BadBatch::Counts { action, said, there }) => {
                assert_ne!(said, there);
                batch.counts.insert(action, there);
            }
            Err(_) => return,
        }
    };
    let events: Vec<_> = content.events().collect();
    assert_eq!(events.len(), content.len());
    let selected = MATCHER.select(&events).expect("a filter that can be evaluated");
    assert_eq!(selected.len(), events.len());
});
