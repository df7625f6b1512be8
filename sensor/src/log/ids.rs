//! Every message that an operator is told of unasked has a number that never changes, and stands here with what
//! it means and what to do. docs/operations.md has the same table.

wanglou_daemon::ids! {
    WORKER_GONE "WL1001" Error
        "the worker was ended by a signal, or has failed; another one is started",
        "look for who sent the signal (`dmesg` for the OOM killer), or for the worker's own message before";
    WORKER_STUCK "WL1002" Error
        "the worker was not ready after two minutes; another one is started",
        "see whether /proc answers and the host has CPU to spare";
    WORKER_NOT_STARTED "WL1003" Error
        "no worker can be started; it is tried again",
        "see limits on processes, memory and open files";
    WORKER_DOES_NOT_END "WL1004" Error
        "the worker did not end within 15 s when it was told to, and was killed",
        "see whether the output takes what is written";
    BREAKER_OPEN "WL1005" Error
        "the sensor cost more than its budget and has stopped itself for a while",
        "see what the host does; narrow `sensor.events` or `network.filter`, or raise `budget.*`";
    BREAKER_CLOSED "WL1006" Notice
        "the sensor has been within its budget since it came back",
        "nothing";
    NOT_FIRST_TO_END "WL1007" Warning
        "the kernel would not end the worker first where memory is short",
        "let the supervisor write `/proc/PID/oom_score_adj`";
    NOT_NICER "WL1008" Warning
        "the worker does not stand back where CPU is short",
        "let the supervisor call `setpriority(2)`";
    FAILED "WL1009" Error
        "supervisor or worker ends, and why",
        "as the message says";
    PANICKED "WL1010" Error
        "a fault in the sensor itself, and where",
        "report it";
    SHEDDING "WL1011" Warning
        "the sensor costs more than its budget and gives up events; or takes a step back from that",
        "see what the host does; narrow `sensor.events` or `network.filter`, or raise `budget.*`";
    SETTINGS_REFUSED "WL1012" Error
        "settings that were read again are wrong: those in force stay",
        "correct what the message names";
    SETTINGS_CHANGED "WL1013" Notice
        "settings were read again, and what has changed",
        "nothing";
    NO_LIMITS "WL1014" Warning
        "the worker has no cgroup of its own, and so no limits",
        "as the message says, or take `limits.*` away";
    CGROUP_LEFT "WL1015" Warning
        "a cgroup of the sensor is still in use; the next start removes it",
        "see who is in it";
    NOT_NOTIFIED "WL1016" Warning
        "the service manager cannot be told how the service is",
        "see `NOTIFY_SOCKET`";
    TELEMETRY_ON "WL1017" Notice
        "where the sensor answers for itself",
        "nothing";
    TELEMETRY_OFF "WL1018" Error
        "it cannot listen where `telemetry.listen` says, and answers nobody",
        "as the message says";
    NO_HEAP_PROFILE "WL1019" Warning
        "there is no profile of the heap",
        "report it";
    NO_LAST_LEDGER "WL1020" Error
        "the last ledger of a worker that was killed is missing",
        "as the message says";
    SETTINGS_TAKEN_BACK "WL1021" Error
        "no worker could begin with new settings: those before are in force again",
        "see the worker's own message before; the file is tried again when it changes, or by SIGHUP";
    READY "WL2001" Notice
        "the worker has told of all that was there and goes on",
        "nothing";
    DONE "WL2002" Notice
        "the worker has ended as it should, and its totals",
        "nothing";
    TABLE_FULL "WL2003" Warning
        "there were more processes than the table has room for: later events of these know less",
        "report how many processes the host has";
    OUTPUT_FAILED "WL2004" Error
        "an output takes nothing; its events are lost until it does, and counted",
        "make room, or see `output.*`";
    OUTPUT_WRITES "WL2005" Notice
        "it takes them again",
        "nothing";
    FILES_NOT_TIDY "WL2006" Warning
        "files of events that were turned over cannot be removed or listed",
        "see the folder of `output.file.path`";
    FILE_NOT_PACKED "WL2007" Warning
        "one of them cannot be packed, and stays as it is",
        "make room, or see the folder of `output.file.path`";
    MODULE_FAILED "WL2008" Error
        "a module has panicked: it begins again a little later, and what it misses meanwhile is counted",
        "report it";
    MODULE_GIVEN_UP "WL2009" Error
        "a module has panicked too often and is not begun again; the others go on",
        "report it; a new worker (`kill` the present one) begins it again";
    MODULE_RESTS "WL2010" Error
        "a module did more than its limits allow and rests; what it misses meanwhile is counted",
        "see what the host does, or `modules.*`";
    MODULE_BEGINS "WL2011" Notice
        "a module works again",
        "nothing";
    RUNTIME_SILENT "WL2012" Warning
        "a container runtime does not answer: what it runs is known by its ids only, until it does",
        "as the message says, or see `container.*`";
    SECOND_CHOICE "WL3001" Warning
        "eBPF cannot serve and `cn_proc` does instead",
        "`wanglou-sensor doctor` tells what is missing";
    RECORD_REFUSED "WL3002" Error
        "a record of the probes does not fit its layout; the event is lost and counted",
        "report it with the kernel's version";
    ITERATOR_REFUSED "WL3003" Error
        "the same of a record of the list of processes",
        "report it with the kernel's version";
    NO_SOCK_DIAG "WL3004" Warning
        "sockets are not listed: the kernel has no `sock_diag`",
        "a kernel with `CONFIG_INET_DIAG`";
    SOCKETS_GIVEN_UP "WL3005" Warning
        "sockets are not listed any more: the kernel does not answer",
        "`modprobe tcp_diag`";
    NAMESPACE_NOT_LISTED "WL3006" Warning
        "the sockets of a network namespace are not listed",
        "let the sensor have `CAP_SYS_ADMIN`";
    NAMESPACE_NOT_ENTERED "WL3007" Error
        "a thread for a network namespace has failed",
        "report it";
    PROBES_NOT_TIMED "WL3008" Warning
        "the cost of probes is not counted",
        "let the supervisor have `CAP_SYS_ADMIN`";
    NO_SUCH_CGROUP "WL3009" Warning
        "a rule names a cgroup that is not there, and finds nothing",
        "correct `network.filter`";
    LOADER_FAILED "WL3010" Error
        "the loader cannot hand over the probes",
        "as the message says";
    LINK_UP "WL4001" Notice
        "a replica of the fleet has welcomed the sensor",
        "nothing";
    LINK_DOWN "WL4002" Warning
        "a replica cannot be reached, or the stream to it broke; others are tried, and the sensor goes on",
        "see whether the host reaches one of `control.endpoints`";
    LINK_REFUSED "WL4003" Warning
        "the sensor and a replica do not want to talk to each other",
        "as the message says: see the certificates of both, and the clock";
    LINK_BUSY "WL4004" Warning
        "a replica has too many others to talk to; it is tried again when it says",
        "see the control plane's load";
    LINK_FAULT "WL4005" Error
        "a certificate or a key of the sensor's own cannot be used",
        "correct what the message names; files are read again at each attempt";
    ORDER_OBEYED "WL4006" Notice
        "the sensor was stopped or started by an order, and whose",
        "nothing";
    ORDER_REFUSED "WL4007" Warning
        "an order is not obeyed, and why",
        "see who gave it; one that was forged or sent again comes from a replica that is not to be trusted";
    ORDER_NOT_KEPT "WL4008" Error
        "an order is obeyed, but could not be written: it is forgotten when the service ends",
        "make room, or see `sensor.state_directory`";
    ORDER_UNREADABLE "WL4009" Error
        "it cannot be known whether the sensor was stopped by order, so it stays stopped",
        "see `control.stop_keys` and `control.operator_keys`; a start by an order ends it, or removing the file and a restart";
    WELCOME_NOT_KEPT "WL4010" Warning
        "labels and endpoints that the fleet has said cannot be written or read",
        "make room, or see `sensor.state_directory`";
    COMMANDED "WL4011" Notice
        "a command of the fleet, and what came of it",
        "nothing";
    SPOOL_FAILED "WL4101" Error
        "the spool's disk takes nothing: what the fleet is to have is kept in memory, and lost beyond 1 MiB (`spool_full`)",
        "make room, or see `sensor.state_directory`";
    SPOOL_WRITES "WL4102" Notice
        "it takes it again",
        "nothing";
    SPOOL_DAMAGED "WL4103" Error
        "a segment of the spool is damaged; what can be read of it is told, and the rest as lost",
        "see the host's disk";
    SPOOL_FORGETS "WL4104" Warning
        "so many batches are lost that not even that can be told of all of them",
        "see why no replica is within reach, or `uplink.spool_bytes`";
    SPOOL_NOT_TIDY "WL4105" Warning
        "a segment of the spool is not needed and cannot be removed",
        "see `sensor.state_directory`";
    SPOOL_STUCK "WL4106" Error
        "the spool's disk does not answer; events wait, and are lost once there is no room (`queue_full`)",
        "see the host's disk";
    SPOOL_OFF "WL4107" Error
        "nobody can keep a spool: the fleet gets no events",
        "as the message says";
    BOOKS_NOT_KEPT "WL4108" Warning
        "the books of a run do not outlive the supervisor, or those of another one cannot be read",
        "make room, or see `sensor.state_directory`";
    HANDOVER_BROKEN "WL4109" Error
        "what a worker hands over makes no sense; nothing more is taken of it",
        "report it; a new worker (`kill` the present one) begins anew";
    RECORD_NOT_STORED "WL4110" Error
        "the fleet does not take what it was told; it is lost (`output_failed`)",
        "see the control plane's log";
    UPLINK_DOWN "WL4111" Warning
        "the stream of telemetry is over while the sensor is joined; it begins anew with the next stream",
        "as the message says; see the control plane's log";
    UPLINK_UNKNOWN "WL4112" Notice
        "a replica takes no telemetry; it is kept until another one does",
        "see the control plane's version";
    LOG_NOT_WRITTEN "WL9001" Warning
        "the log's files or the journal cannot be written; standard error stands in, and it is tried again every 10 s",
        "make room, or see `log.directory`";
    LOG_LINES_LOST "WL9002" Warning
        "so many lines are not where they should be",
        "see the message before";
    OTHERS "WL9003" Warning
        "more different messages than can be told apart; the rest is counted",
        "see those that are written";
    FOREIGN "WL9004" Warning
        "something that a library or a probe has said; it may be an error",
        "as the message says";
    RAW "WL9005" Warning
        "something that the worker has said outside its log",
        "report it";
    ALERTS_LOST "WL9006" Warning
        "so many errors did not become events, as too many waited",
        "see the log";
    MISUNDERSTOOD "WL9007" Warning
        "`WANGLOU_LOG` says nothing that can be understood, and does not count",
        "as the message says";
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wanglou_daemon::log::ids::{OF_WORKERS, check};

    use super::*;

    #[test]
    fn what_is_shared_is_as_everybody_has_it() {
        assert_eq!(check::table(ALL), Ok(()));
        for name in OF_WORKERS {
            assert!(ALL.iter().any(|(it, _)| it == name), "{name} is missing");
        }
    }

    #[test]
    fn the_documentation_has_this_table() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
        assert_eq!(check::documentation(&page, ALL), Ok(()));
    }

    #[test]
    fn every_warning_and_error_has_a_number() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let known = ALL.iter().map(|(name, id)| (*name, id.level));
        assert_eq!(check::sources(&sources, known), Ok(()));
    }
}
