// What the loader of hls.js tells of what it has loaded. Run by `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { verifyingLoader } from "../../../src/pages/assets/loader.mjs";

const ID = "bafkreignnzkzjnlkbntdha6dh2lbhnewesplw537qfhgdtmuz3u3qkgtv4";

/** Loads an address through gateways that have everything, and gives what was told of it. */
async function load(context) {
  const asked = [];
  const gateways = { file: async (id) => (asked.push(id), { bytes: new Uint8Array([1, 2, 3]), base: "" }) };
  const told = [];
  const Loader = verifyingLoader(gateways, (what) => told.push(what));
  const loader = new Loader();
  const data = await new Promise((onSuccess, onError) => {
    const callbacks = { onSuccess: ({ data }) => onSuccess(data), onError, onTimeout: onError };
    loader.load(context, { timeout: 5_000 }, callbacks);
  });
  return { told, asked, data: new Uint8Array(data) };
}

test("a part is asked for by its own content and told as a part", async () => {
  const frag = { sn: 7 };
  const part = { index: 2, fragment: frag };
  const url = `http://node.example/ipfs/${ID}?filename=7.2.m4s`;
  const { told, asked, data } = await load({ url, frag, part });
  assert.deepEqual(asked, [ID]);
  assert.deepEqual(told, [{ frag, part, id: ID, base: "", size: 3 }]);
  assert.deepEqual([...data], [1, 2, 3]);
});

test("a segment is told as no part", async () => {
  const frag = { sn: 7 };
  const url = `http://node.example/ipfs/${ID}?filename=7.m4s`;
  for (const context of [{ url, frag, part: null }, { url, frag }]) {
    const { told } = await load(context);
    assert.equal(told[0].part, null);
    assert.equal(told[0].id, ID);
  }
});
