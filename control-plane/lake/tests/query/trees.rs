//! Processes with their kin.

use anyhow::{Context as _, Result, ensure};
use wanglou_api::event::v1::Event;
use wanglou_lake::query::{Tree, TreeQuery};

use crate::filled::{BEGIN, Filled, event};

fn of(pid: u32, most: usize) -> TreeQuery {
    let nanos = |second: i64| (BEGIN + second) * 1_000_000_000;
    TreeQuery {
        entity_id: format!("id-{pid}"),
        since: nanos(0),
        until: nanos(86_400),
        max_processes: most,
    }
}

fn ids(tree: &Tree) -> Vec<&str> {
    tree.processes.iter().map(|process| process.name.as_str()).collect()
}

/// 1 is the parent of 2, 2 of 3 and 4, 3 of 5; 9 is of 1, and 3 has executed something, talked and ended.
async fn filled() -> Result<Filled> {
    let filled = Filled::new().await?;
    let begun = |second, pid, parent| {
        let mut event = event("fork", second, pid, parent);
        let start = prost_types::Timestamp { seconds: BEGIN + second, nanos: 0 };
        event.process =
            event.process.map(|it| wanglou_api::event::v1::Process { start: Some(start), ..it });
        event
    };
    filled.land(&[begun(1, 1, 0), begun(2, 2, 1), begun(4, 4, 2), begun(3, 3, 2)]).await?;
    filled.compact().await?;
    let mut exec = event("exec", 3_700, 3, 2);
    let mut end = event("end", 3_900, 3, 2);
    if let (Some(exec), Some(end)) = (&mut exec.process, &mut end.process) {
        exec.command_line = Some("curl -k".to_owned());
        end.signal = Some("SIGKILL".to_owned());
    }
    let connections = [3_701, 3_702].map(|second| event("connection_attempted", second, 3, 2));
    filled.land(&[exec, begun(3_800, 5, 3), begun(3_801, 9, 1)]).await?;
    filled.compact().await?;
    filled.land(&[&connections[..], &[end]].concat()).await?;
    Ok(filled)
}

#[tokio::test]
async fn a_tree_has_ancestors_descendants_and_what_is_known_of_them() -> Result<()> {
    let filled = filled().await?;
    let tree = filled.engine().tree(&of(3, 100)).await?;
    ensure!(ids(&tree) == ["p1", "p2", "p3", "p5"], "{tree:#?}");
    ensure!(!tree.truncated);
    let process = tree.processes.iter().find(|it| it.pid == 3).context("it")?;
    ensure!(process.parent_entity_id == "id-2" && process.host == "host-1");
    ensure!(process.command_line == "curl -k" && process.user_id == "1000");
    ensure!(process.signal == "SIGKILL" && process.exit_code.is_none());
    ensure!(process.start == Some((BEGIN + 3) * 1_000_000_000));
    ensure!(process.end == Some((BEGIN + 3_900) * 1_000_000_000 + 7));
    ensure!(process.connections == 2);
    let tree = filled.engine().tree(&of(1, 100)).await?;
    ensure!(ids(&tree) == ["p1", "p2", "p3", "p5", "p4", "p9"], "{:?}", ids(&tree));
    // Of one that began before, its children tell.
    let late = TreeQuery { since: (BEGIN + 3_750) * 1_000_000_000, ..of(2, 100) };
    let tree = filled.engine().tree(&late).await?;
    let pids: Vec<_> = tree.processes.iter().map(|process| process.pid).collect();
    ensure!(pids == [2, 3, 5], "{tree:#?}");
    ensure!(filled.engine().tree(&of(77, 100)).await? == Tree::default());
    Ok(())
}

#[tokio::test]
async fn a_tree_has_as_many_as_are_wanted_and_says_that_there_are_more() -> Result<()> {
    let filled = Filled::new().await?;
    let forks: Vec<Event> = (1..200).map(|n| event("fork", n.into(), n, n / 2)).collect();
    filled.land(&forks).await?;
    let tree = filled.engine().tree(&of(1, 50)).await?;
    // One of them is the first one's parent, of which nothing is known.
    ensure!(tree.truncated && tree.processes.len() == 49, "{}", tree.processes.len());
    // Parents before their children.
    for (at, process) in tree.processes.iter().enumerate().skip(1) {
        let before = &tree.processes[..at];
        ensure!(before.iter().any(|it| it.entity_id == process.parent_entity_id), "{process:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_makes_no_tree_is_told_all_the_same() -> Result<()> {
    let filled = Filled::new().await?;
    let mut liar = event("fork", 3, 8, 6);
    liar.host =
        Some(wanglou_api::event::v1::Host { id: Some("host-2".to_owned()), ..Default::default() });
    filled.land(&[event("fork", 1, 6, 7), event("fork", 2, 7, 6)]).await?;
    filled.land_of("host-2", 1, &[liar]).await?;
    let tree = filled.engine().tree(&of(6, 50)).await?;
    let mut names = ids(&tree);
    names.sort_unstable();
    ensure!(names == ["p6", "p7"], "{names:?}");
    Ok(())
}
