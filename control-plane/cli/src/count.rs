//! `count`: hosts by what they have in common.

use std::cmp::Reverse;

use anyhow::Result;
use jiff::Timestamp;
use wanglou_api::fleet::v1::CountHostsRequest;

use crate::cli::Output;
use crate::connection::Fleet;
use crate::hosts::Caveats;
use crate::selection::Filter;
use crate::table::{Cell, Column, Table, Tone};
use crate::terminal::{Look, note, say, say_all};
use crate::{Done, json, units};

/// What hosts can be counted by: `state`, `version` or `labels.NAME`.
pub(crate) fn group(text: &str) -> Result<String, String> {
    let is_label = text.strip_prefix("labels.").is_some_and(|name| !name.is_empty());
    if is_label || text == "state" || text == "version" {
        Ok(text.to_owned())
    } else {
        Err("it has to be state, version or labels.NAME".to_owned())
    }
}

/// The largest group first.
pub(crate) async fn run(
    fleet: &mut Fleet,
    by: &str,
    filter: &Filter,
    output: Output,
) -> Result<Done> {
    let request = CountHostsRequest { filter: Some(filter.message()?), group_by: by.to_owned() };
    let what = "count hosts";
    let counted = fleet.call(what, async |mut it| it.count_hosts(request.clone()).await).await?;
    let mut counts: Vec<_> = counted
        .counts
        .iter()
        .map(|(value, count)| {
            (*count, if by == "state" { json::name(value, "STATE_") } else { value.clone() })
        })
        .collect();
    counts.sort_by_key(|(count, value)| (Reverse(*count), value.clone()));
    let caveats = Caveats::frozen(counted.frozen_time);
    match output {
        Output::Json => {
            for (count, value) in &counts {
                say(&json::line(&json::Count { group_by: by, value, count: *count })?)?;
            }
        }
        Output::Table if counts.is_empty() => say("no hosts")?,
        Output::Table => {
            let title = match by {
                "state" => "STATE",
                "version" => "VERSION",
                _ => "VALUE",
            };
            let mut table =
                Table::new(&[Column::new(title).least(8), Column::new("HOSTS").number()]);
            for (count, value) in &counts {
                let value = match value.as_str() {
                    "" => Cell::new("none", Tone::Dim),
                    value => Cell::from(value),
                };
                table.row(vec![value, Cell::from(units::count((*count).into()))]);
            }
            let look = Look::of_stdout();
            say_all(&table.lines(look.columns, look.colour))?;
        }
    }
    caveats.lines(Timestamp::now()).iter().for_each(|it| note(it));
    Ok(Done::Well)
}
