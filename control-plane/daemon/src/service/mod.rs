//! Being a service: what it is told, and what it tells its manager.

mod notify;
mod settings;
mod told;

pub use notify::{NOTIFY_VARIABLES, Notify};
pub use settings::reread;
pub use told::{NoSignal, Told, Word};
