//! Asking a service what it says of itself.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;

use crate::service::Service;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where a service listens that was told to do so on a port of its choice.
pub fn address(service: &Service) -> Result<SocketAddr> {
    let told = service.told()?;
    let address = told.lines().find_map(|line| Some(line.split_once(": telemetry: http://")?.1));
    Ok(address.context("it does not say where it listens")?.parse()?)
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub code: u16,
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, whatever of it is no text made visible.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks for a path.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

/// Asks with these bytes.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    converse(&stream, request)
}

/// Asks over a connection, whose other side ends it.
pub fn converse(mut stream: impl Read + Write, request: &[u8]) -> Result<Answer> {
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").context("no answer")?;
    let head = std::str::from_utf8(&bytes[..end])?;
    let code = head.split(' ').nth(1).context("no code")?.parse()?;
    Ok(Answer { code, body: bytes[end + 4..].to_vec() })
}

/// Asks for a profile of the heap. There is one every two seconds.
pub fn profile(address: SocketAddr, path: &str) -> Result<Profile> {
    let answer = get(address, path)?;
    ensure!(answer.code == 200, "{path}: {} {}", answer.code, answer.text());
    let mut bytes = Vec::new();
    GzDecoder::new(&*answer.body).read_to_end(&mut bytes)?;
    Ok(prost::Message::decode(&*bytes)?)
}

/// What is looked at of `profile.proto` of pprof.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Profile {
    /// What the values of a sample are, and their units.
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<Two>,
    /// By stack.
    #[prost(message, repeated, tag = "2")]
    pub sample: Vec<Sample>,
    /// What is in memory.
    #[prost(message, repeated, tag = "3")]
    pub mapping: Vec<Two>,
    /// Addresses of stacks.
    #[prost(message, repeated, tag = "4")]
    pub location: Vec<Two>,
    /// Every text, by its index.
    #[prost(string, repeated, tag = "6")]
    pub string_table: Vec<String>,
}

/// A message that begins with two numbers.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Two {
    #[prost(int64, tag = "1")]
    first: i64,
    #[prost(int64, tag = "2")]
    second: i64,
}

/// What one stack has.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

impl Profile {
    /// What is told of each stack.
    pub fn kinds(&self) -> Vec<&str> {
        let name = |it: &Two| self.string_table.get(it.first as usize).map_or("", String::as_str);
        self.sample_type.iter().map(name).collect()
    }

    /// Of all stacks.
    pub fn total(&self, kind: usize) -> i64 {
        self.sample.iter().map(|sample| sample.value[kind]).sum()
    }
}
