//! A process with its kin.

use tonic::Status;
use wanglou_api::fleet::v1::{ReadProcessTreeRequest, ReadProcessTreeResponse, TreeProcess};
use wanglou_lake::query::{Process, TreeQuery};

use super::super::operators::bad;
use super::{nanos, status, timestamp};
use crate::clock;
use crate::ingest::Ingest;

/// Without a time a day is meant, and without a number so many.
const DAY_MS: i64 = 86_400_000;
const USUAL: u32 = 1_000;

pub(super) async fn read(
    ingest: &Ingest,
    request: ReadProcessTreeRequest,
) -> Result<ReadProcessTreeResponse, Status> {
    if request.entity_id.is_empty() {
        return Err(bad("entity_id", "whose tree is wanted?"));
    }
    let since = request.since_time.as_ref();
    let max = if request.max_processes == 0 { USUAL } else { request.max_processes };
    let query = TreeQuery {
        entity_id: request.entity_id,
        since: since.map_or(Ok((clock::now() - DAY_MS) * 1_000_000), nanos)?,
        until: i64::MAX,
        max_processes: max as usize,
    };
    let tree = ingest.engine.tree(&query).await.map_err(status)?;
    if tree.processes.is_empty() {
        let id = query.entity_id;
        return Err(Status::not_found(format!("nothing is stored of process {id} in that time")));
    }
    let processes = tree.processes.into_iter().map(of).collect();
    Ok(ReadProcessTreeResponse { processes, truncated: tree.truncated })
}

fn of(process: Process) -> TreeProcess {
    let time = |nanos: i64| timestamp(nanos.max(0).cast_unsigned());
    TreeProcess {
        entity_id: process.entity_id,
        parent_entity_id: process.parent_entity_id,
        host: process.host,
        pid: process.pid,
        name: process.name,
        executable: process.executable,
        command_line: process.command_line,
        user_id: process.user_id,
        start_time: process.start.map(time),
        end_time: process.end.map(time),
        exit_code: process.exit_code,
        signal: process.signal,
        connections: process.connections,
    }
}
