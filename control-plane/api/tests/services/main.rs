//! Holds the Rust of the services to their proto files, and those to a style and to what was promised before.

mod descriptors;
mod generated;
mod style;
mod wire;
