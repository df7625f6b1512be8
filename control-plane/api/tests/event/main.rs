//! Holds the Rust of the events and their JSON to `event.proto`.

mod full;
mod generate;
mod generated;
mod golden;
mod schema;
