//! Every case, as the probes see it.

wanglou_testkit::case_tests!("ebpf");
