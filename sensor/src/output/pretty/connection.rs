//! Whom a process talks to, in the words of the last column.

use wanglou_api::event::{Endpoint, Event, Tcp};

use super::super::canvas::{Canvas, Style};

/// What stands in the column of actions, and how.
pub(super) fn action(action: &str) -> Option<(&'static str, Style)> {
    Some(match action {
        "existing_connection" => ("open", Style::Dim),
        "listen" => ("listen", Style::Notice),
        "connection_attempted" => ("connect", Style::Good),
        "connection_accepted" => ("accept", Style::Good),
        "disconnect_received" => ("close", Style::Dim),
        "flow" => ("flow", Style::Dim),
        _ => return None,
    })
}

/// The other end, and what became of the connection.
pub(super) fn describe(event: &Event<'_>, line: &mut Canvas<'_>) {
    let network = event.network.unwrap_or_default();
    let (source, destination) = (event.source.unwrap_or_default(), event.destination);
    line.style(Style::Plain);
    match (network.direction, destination) {
        (Some("egress"), Some(destination)) => line.text(&format!(" → {}", end(&destination))),
        (Some(_), Some(destination)) => {
            line.text(&format!(" ← {}", end(&source)));
            line.style(Style::Dim);
            line.text(&destination.port.map(|port| format!(" at {port}")).unwrap_or_default());
        }
        _ => line.text(&format!(" on {}", end(&source))),
    }
    let meta = event.event.unwrap_or_default();
    if let Some(code) = event.error.and_then(|error| error.code) {
        line.style(Style::Bad);
        line.text(&format!(" {code}"));
    } else if meta.outcome == Some("unknown") {
        line.style(Style::Notice);
        line.text(" given up");
    }
    line.style(Style::Dim);
    if network.transport == Some("udp") {
        line.text(" udp");
    }
    if let (Some(sent), Some(destination)) = (source.bytes, destination) {
        let answered = destination.bytes.unwrap_or(0);
        line.text(&format!("  {} → {} ←", bytes(sent), bytes(answered)));
    }
    if let Some(duration) = meta.duration {
        line.text(&format!("  {}", time(duration)));
    }
    let wanglou = event.wanglou.unwrap_or_default();
    unusual(&wanglou.tcp.unwrap_or_default(), line);
    if let Some(retransmits) = network.retransmits.filter(|&count| count > 0) {
        line.style(Style::Notice);
        line.text(&format!("  {retransmits} sent again"));
    }
    if wanglou.owner == Some("listener") {
        line.style(Style::Notice);
        line.text("  (who took it is not known)");
    }
}

fn unusual(tcp: &Tcp<'_>, line: &mut Canvas<'_>) {
    if let Some(how) = tcp.end.filter(|&how| how != "closed") {
        line.style(Style::Notice);
        line.text(&format!("  {}", how.replace('_', " ")));
    }
}

/// Address and port as they are written together: `[::1]:80`.
fn end(end: &Endpoint<'_>) -> String {
    let ip = end.ip.unwrap_or("?");
    let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    match end.port {
        Some(port) => format!("{ip}:{port}"),
        None => ip,
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

fn time(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..10_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}
