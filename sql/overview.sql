/* pg-recovery in one page.

   A server process does work and writes rows about it. When it dies, those rows say "running" for ever. This schema
   closes exactly them, and tells every client.

   Words
     server   a process that owns work; each boot of it has an epoch, a number that is never used again
     watch    what is known of one table: which rows are open, how one is closed, in which group (session) it is
     owner    column server_epoch of a watched row, written by the trigger that sees the work open
     orphan   an open row whose epoch has ended and that no active fuse guards
     fuse     a lease on one unit of work, which keeps it open while its process lives
     unit     what is guarded, timed out or closed by hand: one row (told by its watch and key), or one group with all
              its rows (told by its family and key)
     runner   the role that executes a host's expressions and triggers, with the rights of the table's owner

   The path of a row
     insert or update   zz_recovery_* (BEFORE) writes the owner; recovery_* (AFTER) takes the shared lock of the epoch,
                        asks whether it lives (the fence), and appends the event in the same transaction
     heartbeat          a keeper says every few seconds that the server lives, and holds the advisory lock -epoch
     boot               a new epoch; older ones of the same name end unless they are shown to be alive
     sweep              _observe_servers -> judgement -> _end_dead_servers -> _orphaned_epochs -> _close_epoch, a batch
                        a transaction; then burnt fuses, then overdue work
     _close_batch       one statement (_close_sql) updates the orphans of a batch and writes their events; a bad batch
                        is made smaller until the bad row stands alone in recovery.failure
     NOTIFY recovery    says only "look"; consumers fetch what has become visible after their position. Events are
                        stored in recovery.outbox, recovery.event shows them; settled: none can appear below any more

   Rooms (folders of sql/, in this order)
     setup     roles, schema, errors, clock, epochs       rights    whose rights a statement about watched rows has
     watch     attach, detach, what is made for a table   server    boot, heartbeat, drain, evict, shutdown
     fence     who may write                              death     evidence, judgement, the end of an epoch
     closing   sweep, one batch, one unit, preview        step      what boot, sweep and shutdown begin and report
     fuse      leases on units of work                    process   processes that do work, seen from their host
     event     the outbox, its wake-ups, consumers        watchdog  timeouts: ask the owner, then close
     webhook   events by HTTP: collect, claim, record     status    what people look at

   Names
     Routines without an underscore are for callers and stay as they are within a major version. Those with one are for
     these routines only: the roles that may call them need them because a procedure that commits runs as its caller.
     What acts is verb_noun, what tells is a noun; v_ are variables, p_ parameters, o_ results, zz_ fires last.

   Locks, always in this order: the name of a server (boot), the epoch (advisory, exclusive to end it, shared to write),
   the row of the server, rows of watched tables (by groups, then watches, then keys), recovery.outbox.

   Errors have class RC: see sql/setup/_fail.sql and the table in ARCHITECTURE.md. */
