//! `orders`: those that were given.

use anyhow::Result;
use jiff::Timestamp;
use wanglou_api::fleet::v1::{GetOrderRequest, ListOrdersRequest, Order};

use super::progress::{NOT_DURABLE, epoch, kind, line, result};
use crate::Done;
use crate::cli::Output;
use crate::connection::Fleet;
use crate::selection::in_words;
use crate::table::{Cell, Column, Table, Tone};
use crate::terminal::{Look, say, say_all};
use crate::text::clean;
use crate::{details, json, units};

const COLUMNS: [Column; 7] = [
    Column::new("ORDER").number(),
    Column::new("KIND"),
    Column::new("HOSTS").least(12),
    Column::new("AGE").number(),
    Column::new("DURABLE").spare(1),
    Column::new("BY").least(8).spare(2),
    Column::new("REASON").least(8).spare(3),
];
/// Orders of a page: the most that there may be.
const PAGE: u32 = 1_000;

/// All of them or the last ones, the last first.
pub(crate) async fn list(fleet: &mut Fleet, limit: Option<u32>, output: Output) -> Result<Done> {
    let mut left = limit.unwrap_or(u32::MAX);
    let mut request = ListOrdersRequest::default();
    let mut table = Table::new(&COLUMNS);
    let (mut count, now) = (0, Timestamp::now());
    while left > 0 {
        request.page_size = left.min(PAGE) as i32;
        let what = "list orders";
        let page = fleet.call(what, async |mut it| it.list_orders(request.clone()).await).await?;
        for order in page.orders.iter().take(left as usize) {
            count += 1;
            match output {
                Output::Json => say(&json::line(&json::Order::from(order))?)?,
                Output::Table => table.row(row(order, now)),
            }
        }
        left -= (page.orders.len() as u32).min(left);
        if page.next_page_token.is_empty() || page.next_page_token == request.page_token {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if output == Output::Table {
        let look = Look::of_stdout();
        match count {
            0 => say("no order was ever given")?,
            _ => say_all(&table.lines(look.columns, look.colour))?,
        }
    }
    Ok(Done::Well)
}

fn row(order: &Order, now: Timestamp) -> Vec<Cell> {
    let said = order.order.as_ref();
    let selector = said.and_then(|it| it.selector.as_ref()).map(in_words).unwrap_or_default();
    let age = units::age(said.and_then(|it| it.create_time.as_ref()), now);
    let durable = if order.durable { Cell::from("yes") } else { Cell::new("no", Tone::Notice) };
    vec![
        Cell::from(epoch(order)),
        Cell::from(kind(order)),
        Cell::from(selector),
        Cell::from(age.map(units::span).unwrap_or_default()),
        durable,
        Cell::from(said.map(|it| author(&it.author)).unwrap_or_default()),
        Cell::from(said.map(|it| it.reason.as_str()).unwrap_or_default()),
    ]
}

/// Whose certificate, without what all have in common.
fn author(full: &str) -> &str {
    full.rsplit_once("/operator/").map_or(full, |(_, id)| id)
}

/// One of them.
pub(crate) async fn show(fleet: &mut Fleet, epoch: u64, output: Output) -> Result<Done> {
    let request = GetOrderRequest { name: format!("orders/{epoch}") };
    let what = "show the order";
    let order = fleet.call(what, async |mut it| it.get_order(request.clone()).await).await?;
    match output {
        Output::Json => say(&json::line(&json::Order::from(&order))?)?,
        Output::Table => say_all(&told(&order, Look::of_stdout()))?,
    }
    Ok(Done::Well)
}

fn told(order: &Order, look: Look) -> Vec<String> {
    let said = order.order.clone().unwrap_or_default();
    let given = said.create_time.as_ref().and_then(|time| units::date(time, Timestamp::now()));
    let mut known = vec![
        ("order", Cell::from(epoch(order))),
        ("kind", Cell::from(kind(order))),
        ("hosts", Cell::from(in_words(&said.selector.unwrap_or_default()))),
        ("by", Cell::from(&said.author)),
        ("given", Cell::from(given.unwrap_or_default())),
        ("reason", Cell::from(&said.reason)),
        ("progress", Cell::from(line(order))),
    ];
    if order.progress.is_none() {
        let text = "not known any more: it is known of the last orders only";
        known.pop();
        known.push(("progress", Cell::from(text)));
        if !order.durable {
            known.push(("durable", Cell::new(NOT_DURABLE, Tone::Notice)));
        }
        return details::lines(&known, look);
    }
    let results = result(order);
    details::lines(&known, look).into_iter().chain(results.iter().map(|it| clean(it))).collect()
}
