//! Orders: given, followed, and looked at.

mod follow;
mod give;
mod list;
mod progress;
mod signature;

pub(crate) use give::{start, stop};
pub(crate) use list::{list, show};
use progress::{NOT_DURABLE, epoch, title};
