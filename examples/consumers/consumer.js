// Prints every event. Kill it, start it again: nothing is lost, some may come twice.
const { Client } = require("pg");
(async () => {
  const db = new Client();
  let wake = () => {};
  db.on("notification", () => wake());
  await db.connect();
  await db.query("listen recovery");
  await db.query("select recovery.create_consumer('node', 0)");
  for (;;) {
    const { rows } = await db.query("select * from recovery.fetch('node', 100)");
    for (const event of rows) console.log(event.id, event.kind, event.watch, event.key);
    if (rows.length) await db.query("select recovery.acknowledge($1)", [rows.at(-1).receipt]);
    else await new Promise((resolve) => setTimeout((wake = resolve), 1000));
  }
})();
