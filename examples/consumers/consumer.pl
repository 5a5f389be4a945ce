# Prints every event. Kill it, start it again: nothing is lost, some may come twice.
use v5.14; use warnings; use DBI; use IO::Select;
STDOUT->autoflush(1);
my $db = DBI->connect("dbi:Pg:", undef, undef, { RaiseError => 1, AutoCommit => 1 });
my $bell = IO::Select->new($db->{pg_socket});
$db->do("listen recovery");
$db->do("select recovery.create_consumer('perl', 0)");
while (1) {
    my $page = $db->selectall_arrayref("select * from recovery.fetch('perl', 100)", { Slice => {} });
    say join " ", @$_{qw(id kind watch key)} for @$page;
    if (@$page) { $db->do("select recovery.acknowledge(?)", undef, $page->[-1]{receipt}) }
    elsif ($bell->can_read(1)) { 1 while $db->pg_notifies }
}
