//! A lake, from what hosts tell to what is read back.

mod bucket;
mod crash;
mod duckdb;
mod golden;
mod landing;
mod python;
mod races;
mod reading;
mod rounds;
mod stopping;
mod telling;
