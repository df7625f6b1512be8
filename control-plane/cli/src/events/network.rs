//! Whom a process talks to, in the words of the last column.

use wanglou_api::event::v1::{Endpoint, Event};

use super::line::Line;
use crate::table::Tone;
use crate::units;

/// The other end, and what became of the connection.
pub(super) fn describe(event: &Event, line: &mut Line) {
    let network = event.network.clone().unwrap_or_default();
    let source = event.source.clone().unwrap_or_default();
    match (network.direction.as_deref(), &event.destination) {
        (Some("egress"), Some(destination)) => {
            line.put(&format!(" → {}", end(destination)), Tone::Plain);
        }
        (Some(_), Some(destination)) => {
            line.put(&format!(" ← {}", end(&source)), Tone::Plain);
            let at = destination.port.map(|port| format!(" at {port}"));
            line.put(&at.unwrap_or_default(), Tone::Dim);
        }
        _ => line.put(&format!(" on {}", end(&source)), Tone::Plain),
    }
    let meta = event.event.clone().unwrap_or_default();
    if let Some(code) = event.error.as_ref().and_then(|error| error.code.as_ref()) {
        line.put(&format!(" {code}"), Tone::Bad);
    } else if meta.outcome.as_deref() == Some("unknown") {
        line.put(" given up", Tone::Notice);
    }
    if network.transport.as_deref() == Some("udp") {
        line.put(" udp", Tone::Dim);
    }
    if let (Some(sent), Some(destination)) = (source.bytes, &event.destination) {
        let answered = units::bytes(destination.bytes.unwrap_or(0));
        line.put(&format!("  {} → {answered} ←", units::bytes(sent)), Tone::Dim);
    }
    if let Some(ns) = meta.duration {
        line.put(&format!("  {}", time(ns)), Tone::Dim);
    }
    let wanglou = event.wanglou.clone().unwrap_or_default();
    let how = wanglou.tcp.and_then(|tcp| tcp.end).filter(|how| how != "closed");
    if let Some(how) = how {
        line.put(&format!("  {}", how.replace('_', " ")), Tone::Notice);
    }
    if let Some(retransmits) = network.retransmits.filter(|&count| count > 0) {
        line.put(&format!("  {retransmits} sent again"), Tone::Notice);
    }
    if wanglou.owner.as_deref() == Some("listener") {
        line.put("  (who took it is not known)", Tone::Notice);
    }
}

/// Address and port as they are written together: `[::1]:80`.
fn end(end: &Endpoint) -> String {
    let ip = end.ip.as_deref().unwrap_or("?");
    let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    match end.port {
        Some(port) => format!("{ip}:{port}"),
        None => ip,
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

#[cfg(test)]
mod tests {
    use wanglou_api::event::v1::{Error, EventMeta, Network};

    use super::*;

    fn shown(direction: &str, bytes: Option<u64>, code: Option<&str>) -> String {
        let at = |ip: &str, port| Endpoint {
            ip: Some(ip.to_owned()),
            port: Some(port),
            bytes,
            packets: None,
        };
        let event = Event {
            event: Some(EventMeta { duration: Some(1_234_567), ..EventMeta::default() }),
            source: Some(at("::1", 50_000)),
            destination: Some(at("192.0.2.1", 80)),
            network: Some(Network { direction: Some(direction.to_owned()), ..Network::default() }),
            error: code.map(|code| Error { code: Some(code.to_owned()) }),
            ..Event::default()
        };
        let mut line = Line::default();
        describe(&event, &mut line);
        line.finish(None, false)
    }

    #[test]
    fn a_connection_shows_whom_it_leads_to_and_what_came_of_it() {
        let failed = shown("egress", None, Some("ECONNREFUSED"));
        assert_eq!(failed, " → 192.0.2.1:80 ECONNREFUSED  1.2 ms");
        assert_eq!(shown("ingress", None, None), " ← [::1]:50000 at 80  1.2 ms");
        let over = shown("egress", Some(54_321), None);
        assert_eq!(over, " → 192.0.2.1:80  54.3 kB → 54.3 kB ←  1.2 ms");
    }
}
