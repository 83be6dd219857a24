// What an unmodified client of Kubo's HTTP API does with a store: node kubo-client.mjs URL
// Every answer is checked here; the ids go to standard output, one JSON object in all.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { create } from "kubo-rpc-client";

const ipfs = create({ url: new URL("/api/v0", process.argv[2]) });

async function whole(source) {
  const pieces = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function all(source) {
  const items = [];
  for await (const item of source) items.push(item);
  return items;
}

// Bytes that differ everywhere.
const large = Buffer.alloc(3_000_000);
for (let at = 0; at + 4 <= large.length; at += 4) large.writeUInt32LE(at / 4, at);

const version = await ipfs.version();
assert.match(version.version, /^\d+\.\d+/);
const { id } = await ipfs.id();
assert.match(id.toString(), /^(Qm|12D3)/);

const hello = await ipfs.add("hello world");
assert.equal(hello.size, 19);
const v1 = await ipfs.add(large, { cidVersion: 1, pin: false });
const v0 = await ipfs.add({ path: "large.bin", content: large });
assert.equal(v0.path, "large.bin");
const hashed = await ipfs.add("only the id", { onlyHash: true });
const tree = await all(
  ipfs.addAll([
    { path: "show/list.m3u8", content: "#EXTM3U" },
    { path: "show/hd/0.ts", content: "zero" },
  ]),
);
const wrapped = await all(ipfs.addAll([{ path: "a b.txt", content: "x" }], { wrapWithDirectory: true }));

assert.deepEqual(await whole(ipfs.cat(v0.cid)), large);
assert.deepEqual(await whole(ipfs.cat(v1.cid, { offset: 262_143, length: 3 })), large.subarray(262_143, 262_146));
await assert.rejects(whole(ipfs.cat(hashed.cid)));

const block = await ipfs.block.put(Buffer.from("a block"), { format: "raw" });
assert.equal(Buffer.from(await ipfs.block.get(block)).toString(), "a block");
assert.equal((await ipfs.block.stat(block)).size, 7);

const pins = await all(ipfs.pin.ls({ type: "recursive" }));
assert.ok(pins.some(({ cid }) => cid.toString() === v0.cid.toString()));
assert.ok(!pins.some(({ cid }) => cid.toString() === v1.cid.toString()));
await ipfs.pin.add(v1.cid);
assert.equal((await all(ipfs.pin.ls({ paths: [v1.cid] })))[0].type, "recursive");
await ipfs.pin.rm(v1.cid);
await assert.rejects(all(ipfs.pin.ls({ paths: [v1.cid] })));

const car = await whole(ipfs.dag.export(v0.cid));
const imported = await all(ipfs.dag.import((async function* () { yield car; })()));
assert.equal(imported[0].root.cid.toString(), v0.cid.toString());

const ids = {
  hello: hello.cid,
  v0: v0.cid,
  v1: v1.cid,
  block,
  tree: tree.map(({ path, cid }) => [path, cid.toString()]),
  wrapped: wrapped.at(-1).cid,
  sha256: createHash("sha256").update(large).digest("hex"),
};
console.log(JSON.stringify(Object.fromEntries(Object.entries(ids).map(([k, v]) => [k, Array.isArray(v) ? v : v.toString()]))));
