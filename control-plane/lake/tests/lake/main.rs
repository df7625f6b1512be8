//! A lake, from what hosts tell to what is read back.

mod crash;
mod duckdb;
mod golden;
mod landing;
mod races;
mod reading;
mod rounds;
mod stopping;
mod telling;
