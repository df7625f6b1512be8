#!/usr/bin/perl
# systemctl of a machine that has no systemd: see services.rs of the test that has made it.
use strict;
use IO::Socket::UNIX;

my @words = @ARGV;
my ($verb) = grep { !/^-/ } @words;
my %of_services = map { $_ => 1 } qw(start stop restart try-restart is-active);
unless ($of_services{$verb // ''}) {
    local $ENV{SYSTEMD_OFFLINE} = 1;
    system('/usr/bin/systemctl.installed', grep { $_ ne '--now' } @words);
    exit 1 if $?;
    exit 0 unless grep { $_ eq '--now' } @words;
    @words = map { $_ eq $verb ? 'start' : $_ } @words;
}
my $manager = IO::Socket::UNIX->new(Peer => '/run/systemd/standin') or die "systemctl: nobody answers: $!\n";
print $manager join(' ', @words), "\n";
$manager->flush;
my ($code, @told) = <$manager>;
print STDERR @told;
exit($code // 1);
