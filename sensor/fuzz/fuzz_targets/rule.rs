//! Rules for connections, and the tables made of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::filter::{Filter, Rule, Tables};

fuzz_target!(|text: &str| {
    let rules: Vec<Rule> = text.lines().filter_map(|line| line.parse().ok()).collect();
    if let Ok(filter) = Filter::new(rules) {
        let tables = Tables::of(&filter);
        assert_eq!(tables.rules.all.count_ones() as usize, filter.rules().len());
    }
});
