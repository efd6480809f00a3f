# Moves a folder with Perl's Net::FTP: move.pl put|get LOCAL REMOTE
use strict;
use warnings;
use Net::FTP;

my ($direction, $local, $remote) = @ARGV;
my $ftp = Net::FTP->new('127.0.0.1', Port => $ENV{PEER_PORT}, Passive => 1, Timeout => 60,
    SSL_ca_file => $ENV{PEER_CERT}) or die "connect: $@";
sub check { my ($ok, $what) = @_; die "$what: ", $ftp->code, ' ', $ftp->message unless $ok }
check($ftp->starttls, 'AUTH TLS');
check($ftp->login($ENV{PEER_USER}, $ENV{PEER_PASSWORD}), 'login');
check($ftp->binary, 'TYPE I');

sub put {
    my ($dir) = @_;
    opendir(my $handle, $dir) or die "$dir: $!";
    for my $name (sort grep { !/^\.\.?$/ } readdir $handle) {
        if (-d "$dir/$name") {
            check($ftp->mkdir($name), "MKD $name");
            check($ftp->cwd($name), "CWD $name");
            put("$dir/$name");
            check($ftp->cdup, 'CDUP');
        } else {
            check($ftp->put("$dir/$name", $name), "STOR $name");
        }
    }
}

# NLST does not say what is a folder: the library's users try to enter it.
sub get {
    my ($dir) = @_;
    mkdir $dir or die "$dir: $!";
    for my $name ($ftp->ls) {
        if ($ftp->cwd($name)) {
            get("$dir/$name");
            check($ftp->cdup, 'CDUP');
        } else {
            check($ftp->get($name, "$dir/$name"), "RETR $name");
        }
    }
}

check($ftp->mkdir($remote), "MKD $remote") if $direction eq 'put';
check($ftp->cwd($remote), "CWD $remote");
if ($direction eq 'put') { put($local) } else { get($local) }
check($ftp->quit, 'QUIT');
