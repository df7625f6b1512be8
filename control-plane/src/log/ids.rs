//! Every message that an operator is told of unasked has a number that never changes, and stands here with what
//! it means and what to do. docs/control-plane.md has the same table.

wanglou_daemon::ids! {
    FAILED "WL1009" Error
        "the replica ends, and why",
        "as the message says";
    PANICKED "WL1010" Error
        "a fault in the replica itself, and where",
        "report it";
    SETTINGS_REFUSED "WL1012" Error
        "settings that were read again are wrong: those in force stay",
        "correct what the message names";
    SETTINGS_CHANGED "WL1013" Notice
        "settings were read again, and what has changed",
        "nothing";
    NOT_NOTIFIED "WL1016" Warning
        "the service manager cannot be told how the service is",
        "see `NOTIFY_SOCKET`";
    TELEMETRY_ON "WL1017" Notice
        "where the replica answers for itself",
        "nothing";
    TELEMETRY_OFF "WL1018" Error
        "it cannot listen where `telemetry.listen` says, and answers nobody",
        "as the message says";
    NO_HEAP_PROFILE "WL1019" Warning
        "there is no profile of the heap",
        "report it";
    SERVING "WL5001" Notice
        "who the replica is and where it serves",
        "nothing";
    DRAINING "WL5002" Notice
        "the replica was told to end and sends its hosts to others",
        "nothing";
    TWINS "WL5003" Warning
        "more than one machine calls itself the same host, as after a disk was copied; each is told apart by its instance",
        "give all but one of them a certificate of their own";
    ETCD_SILENT "WL5101" Warning
        "etcd does not answer: what is known of other replicas' hosts stays as it is; streams, stop and start go on",
        "see whether etcd has a quorum";
    ETCD_ANSWERS "WL5102" Notice
        "etcd answers",
        "nothing";
    NO_LEASE "WL5103" Warning
        "etcd does not give a lease: new hosts are not written until it does",
        "see whether etcd has a quorum, and room (`etcdctl alarm list`)";
    NOT_RENEWED "WL5104" Warning
        "leases are not renewed: it is tried again every second",
        "see whether etcd has a quorum";
    HOSTS_NOT_WRITTEN "WL5105" Warning
        "a batch of hosts is not written: it is tried again every second",
        "see whether etcd has a quorum, and room (`etcdctl alarm list`)";
    MEMBERS "WL5106" Notice
        "members of etcd that the settings do not name: they are asked too, until they are removed",
        "put them into `etcd.endpoints`, for the next start";
    JOURNAL_DAMAGED "WL5201" Error
        "an order on this replica's disk cannot be read or is not believed",
        "others may have it: see `wanglou orders`; then remove the file";
    ORDER_NOT_KEPT "WL5202" Error
        "an order is not on this replica's disk: it goes out all the same",
        "make room, or see `replica.state_directory`";
    ORDER_NOT_BELIEVED "WL5203" Warning
        "an order from etcd, a peer or a host is signed by no key that may give it",
        "see `fleet.operator_keys`; somebody may try to give orders";
    ORDER_REFUSED "WL5204" Warning
        "a host refuses an order, and why",
        "see the host's keys (`control.stop_keys`, `control.operator_keys`)";
    LAKE_CLOSED "WL5301" Error
        "the lake cannot be opened: this replica takes no events, and everything else; it is tried again every 10 s",
        "see `lake.location`";
    LAKE_REFUSES "WL5302" Error
        "events are not stored, and why: it is tried again every second, and hosts keep what they have",
        "make room, or see `lake.location`";
    LAKE_TAKES "WL5303" Notice
        "events are stored again",
        "nothing";
    RECORD_REFUSED "WL5304" Warning
        "what a host tells cannot be true, and why: it is not stored",
        "see whether its sensor is one of yours, and of this version";
    NOT_COMPACTED "WL5305" Warning
        "events that are stored are not compacted, and why: it is tried again",
        "make room, or see `lake.location`";
    NOT_RECONCILED "WL5306" Warning
        "the books of runs cannot be read, and why: it is tried again",
        "see `lake.location`";
    UNEXPLAINED "WL5307" Error
        "events of a run are missing, and nothing says why",
        "see `wanglou reconcile`; report it";
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
        "something that a library has said; it may be an error",
        "as the message says";
    MISUNDERSTOOD "WL9007" Warning
        "`WANGLOU_LOG` says nothing that can be understood, and does not count",
        "as the message says";
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wanglou_daemon::log::ids::check;

    use super::*;

    #[test]
    fn what_is_shared_is_as_everybody_has_it() {
        assert_eq!(check::table(ALL), Ok(()));
    }

    #[test]
    fn the_documentation_has_this_table() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/control-plane.md");
        assert_eq!(check::documentation(&page, ALL), Ok(()));
    }

    #[test]
    fn every_warning_and_error_has_a_number() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let known = ALL.iter().map(|(name, id)| (*name, id.level));
        assert_eq!(check::sources(&sources, known), Ok(()));
    }
}
