//! `replicas`: the control plane itself.

use anyhow::Result;
use jiff::Timestamp;
use wanglou_api::fleet::v1::{ListReplicasRequest, Replica};

use crate::cli::Output;
use crate::connection::Fleet;
use crate::table::{Cell, Column, Table, Tone};
use crate::terminal::{Look, say, say_all};
use crate::{Done, json, units};

const COLUMNS: [Column; 6] = [
    Column::new("REPLICA").least(12),
    Column::new("STATE"),
    Column::new("HOSTS").number(),
    Column::new("UP").number(),
    Column::new("VERSION").least(7),
    Column::new("ADDRESSES").least(12).spare(1),
];

/// All of them.
pub(crate) async fn run(fleet: &mut Fleet, output: Output) -> Result<Done> {
    let mut request = ListReplicasRequest { page_size: 1_000, ..ListReplicasRequest::default() };
    let mut table = Table::new(&COLUMNS);
    let now = Timestamp::now();
    loop {
        let what = "list replicas";
        let page = fleet.call(what, async |mut it| it.list_replicas(request.clone()).await).await?;
        for replica in &page.replicas {
            match output {
                Output::Json => say(&json::line(&json::Replica::from(replica))?)?,
                Output::Table => table.row(row(replica, now)),
            }
        }
        if page.next_page_token.is_empty() || page.next_page_token == request.page_token {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if output == Output::Table {
        let look = Look::of_stdout();
        say_all(&table.lines(look.columns, look.colour))?;
    }
    Ok(Done::Well)
}

fn row(replica: &Replica, now: Timestamp) -> Vec<Cell> {
    let state = if replica.draining {
        Cell::new("draining", Tone::Notice)
    } else {
        Cell::new("serving", Tone::Good)
    };
    let up = units::age(replica.start_time.as_ref(), now);
    vec![
        Cell::from(replica.name.strip_prefix("replicas/").unwrap_or(&replica.name)),
        state,
        Cell::from(units::count(replica.hosts.into())),
        Cell::from(up.map(units::span).unwrap_or_default()),
        Cell::from(&replica.version),
        Cell::from(replica.addresses.join(", ")),
    ]
}
