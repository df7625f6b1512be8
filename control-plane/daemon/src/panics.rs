//! Panics: each is told of with its place, by the log or by whoever catches it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook};

use crate::log::ids;

thread_local! {
    /// Whether somebody waits for it.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// One that was caught.
pub struct Panic {
    place: String,
    what: String,
    payload: Box<dyn Any + Send>,
}

/// Has the log tell of those that nobody catches.
pub fn tell() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if CAUGHT.get() {
            PLACE.set(place);
        } else {
            let what = what(panic);
            tracing::error!(id = ids::PANICKED.code, place, "panicked: {what}");
        }
    }));
}

fn what<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    panic.payload_as_str().unwrap_or("something")
}

/// Does something that may panic. What it works on is in whatever state it was left.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    let outer = CAUGHT.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(outer);
    done.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let what = text.unwrap_or_else(|| "something".to_owned());
        Panic { place: PLACE.take(), what, payload }
    })
}

impl Panic {
    /// Goes on with it.
    pub fn resume(self) -> ! {
        tracing::error!(id = ids::PANICKED.code, place = self.place, "panicked: {}", self.what);
        resume_unwind(self.payload)
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked at {}: {}", self.place, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_caught_has_its_place() {
        tell();
        assert_eq!(catch(|| 7).ok(), Some(7));
        let number = 3;
        let panic = catch(|| assert_eq!(number, 4, "three is not four")).expect_err("a panic");
        let text = panic.to_string();
        assert!(text.contains("panics.rs:") && text.contains("three is not four"), "{text}");
        assert!(!CAUGHT.get());
    }
}
