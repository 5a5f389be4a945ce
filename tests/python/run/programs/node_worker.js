// Takes a job, and works on it until it is killed. Knows nothing of recovery.

const { Client } = require("pg");

async function main() {
  const client = new Client();
  await client.connect();
  const done = await client.query("insert into job (status) values ('running') returning id");
  console.log(done.rows[0].id);
  setTimeout(() => {}, 600000);
}

main();
