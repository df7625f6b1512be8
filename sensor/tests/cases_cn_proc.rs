//! Every case that the netlink process connector and /proc can know, as they see it.

wanglou_testkit::case_tests!("cn_proc");
