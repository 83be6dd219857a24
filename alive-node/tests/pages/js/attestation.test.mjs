// What the chain says of what was played. Run by `node --test`.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { Attestation } from "../../../src/pages/assets/attestation.mjs";

const servers = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** A node whose chain has these contents, in this order, and an attestation that asks it. */
async function stage(chain) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    const from = Number(new URL(request.url, "http://x").searchParams.get("from"));
    const rows = chain.map((content, number) => ({ number, content })).slice(from);
    response.end(JSON.stringify({ ended: false, count: chain.length, segments: rows }));
  });
  servers.push(server);
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  let told;
  const attestation = new Attestation(
    `http://127.0.0.1:${server.address().port}/segments`,
    () => told?.(),
    { pauseMs: 5 },
  );
  const change = () => new Promise((resolve) => (told = resolve));
  return { attestation, asked, change };
}

test("what the chain names is attested, and asked for once", async () => {
  const { attestation, asked, change } = await stage(["a", "b", "c"]);
  assert.equal(attestation.summary("hive"), "hive: nothing to compare yet");
  const changed = change();
  attestation.played("src", 1, "b");
  attestation.played("src", 2, "c");
  attestation.played("src", 1, "b");
  await changed;
  assert.equal(attestation.summary("hive"), "hive names all 2 of them");
  attestation.played("src", 2, "c");
  assert.deepEqual(asked, ["/segments?l1only=1&quality=src&from=1"]);
});

test("what only the live layer has is attested when the chain has it", async () => {
  const chain = ["a"];
  const { attestation, change } = await stage(chain);
  let changed = change();
  attestation.played("src", 0, "a");
  attestation.played("src", 1, "b");
  await changed;
  assert.equal(attestation.summary("hive"), "hive names 1 of 2, the live layer announced the others");
  chain.push("b");
  do {
    changed = change();
    await changed;
  } while (attestation.summary("hive").includes("others"));
  assert.equal(attestation.summary("hive"), "hive names all 2 of them");
});

test("a chain that names other content is said", async () => {
  const { attestation, change } = await stage(["a", "other"]);
  const changed = change();
  attestation.played("480", 1, "b");
  await changed;
  assert.equal(attestation.summary("hive"), "hive names other content for 1 of them");
});
