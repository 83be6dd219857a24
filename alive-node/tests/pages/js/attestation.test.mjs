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

/**
 * A node whose chains have these contents, in this order, and an attestation that asks it. A row is a content, which hive
 * names for good, or `[content, { network: irreversible }]`.
 */
async function stage(chain, options = {}) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    const from = Number(new URL(request.url, "http://x").searchParams.get("from"));
    const row = (row, number) => {
      const [content, named] = typeof row === "string" ? [row, { hive: true }] : row;
      const attestations = Object.entries(named).map(([network, irreversible]) => ({ network, seq: number, irreversible }));
      return { number, content, attestations };
    };
    const rows = chain.map(row).slice(from);
    response.end(JSON.stringify({ ended: false, count: chain.length, segments: rows }));
  });
  servers.push(server);
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  let told;
  const attestation = new Attestation(
    `http://127.0.0.1:${server.address().port}/segments`,
    () => told?.(),
    { pauseMs: 5, laterMs: 5, ...options },
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

test("each chain is told by itself, until all name everything for good", async () => {
  const chains = [
    ["a", { hive: true, avalon: true }],
    ["b", { hive: false }],
  ];
  const { attestation, asked, change } = await stage(chains);
  assert.equal(attestation.byline("hive"), "");
  let changed = change();
  attestation.played("src", 0, "a");
  attestation.played("src", 1, "b");
  await changed;
  assert.equal(attestation.summary("hive"), "hive names all 2 of them, 1 not yet for good; avalon names 1 of 2");
  assert.equal(attestation.byline("hive"), "attested by hive, avalon");
  assert.equal(attestation.byline("avalon"), "attested by avalon, hive");
  chains[1] = ["b", { hive: true, avalon: true }];
  do {
    changed = change();
    await changed;
  } while (attestation.summary("hive").includes("yet"));
  assert.equal(attestation.summary("hive"), "hive names all 2 of them; avalon names all 2 of them");
  const count = asked.length;
  await new Promise((later) => setTimeout(later, 50));
  assert.equal(asked.length, count, "there is nothing more to ask for");
});

test("a chain that has the stream and names nothing is told of, and is not in the badge", async () => {
  const { attestation, change } = await stage([["a", { hive: true }]]);
  const changed = change();
  attestation.played("src", 0, "a");
  await changed;
  assert.equal(attestation.summary("hive"), "hive names all 1 of them");
  const told = change();
  attestation.expect(["hive", "avalon"]);
  await told;
  assert.equal(attestation.summary("hive"), "hive names all 1 of them; avalon names none of them");
  assert.equal(attestation.byline("hive"), "attested by hive");
  let again = false;
  void change().then(() => (again = true));
  attestation.expect(["hive", "avalon"]);
  await new Promise((later) => setTimeout(later, 5));
  assert.equal(again, false, "nothing has changed");
});

test("what a fork took back is attested no more", async () => {
  const chain = [["a", { hive: false }]];
  const { attestation, change } = await stage(chain);
  let changed = change();
  attestation.played("src", 0, "a");
  await changed;
  assert.equal(attestation.byline("hive"), "attested by hive");
  chain[0] = ["a", {}];
  do {
    changed = change();
    await changed;
  } while (attestation.byline("hive") !== "");
  assert.equal(attestation.summary("hive"), "hive names 0 of 1, the live layer announced the others");
  chain[0] = ["a", { hive: true }];
  do {
    changed = change();
    await changed;
  } while (attestation.byline("hive") === "");
  assert.equal(attestation.summary("hive"), "hive names all 1 of them");
});

test("a chain that never names a segment is not asked for ever", async () => {
  const chain = [["a", { hive: true, avalon: true }], ["b", { hive: true }]];
  const { attestation, asked } = await stage(chain, { laterMs: 0 });
  attestation.played("src", 0, "a");
  attestation.played("src", 1, "b");
  let before = -1;
  while (asked.length !== before) {
    before = asked.length;
    await new Promise((later) => setTimeout(later, 100));
  }
  assert.ok(asked.length > 2 && asked.length < 20, `${asked.length}`);
  assert.equal(attestation.byline("hive"), "attested by hive, avalon");
});
