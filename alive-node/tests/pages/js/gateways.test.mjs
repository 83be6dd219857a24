// Which gateway is believed, dropped, and asked again. Run by `node --test`.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";

import { hex, parseCid } from "../../../src/pages/assets/cid.mjs";
import { Gateways } from "../../../src/pages/assets/gateways.mjs";
import { contentIdOf, verifyingLoader } from "../../../src/pages/assets/loader.mjs";
import { plainSha256 } from "../../../src/pages/assets/sha256.mjs";
import { fileOfCar } from "../../../src/pages/assets/verify.mjs";

const file = new URL("../../../../vectors/storage.car.json", import.meta.url);
const vector = JSON.parse(readFileSync(file)).cases.find(({ name }) => name === "v0-dfs");
const ID = vector.in.expected_root;
const CAR = new Uint8Array(Buffer.from(vector.in.car_b64, "base64"));
const HASH = vector.out.file_sha256_hex;

const servers = [];
after(() => {
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
});

/** A gateway that answers as it is told, and what it was asked. */
async function gateway(answer) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    answer(request, response);
  });
  servers.push(server);
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { base: `http://127.0.0.1:${server.address().port}`, asked };
}

const car = (bytes) => (_, response) => {
  response.writeHead(200, { "Content-Type": "application/vnd.ipld.car; version=1" });
  response.end(bytes);
};
const status = (code) => (_, response) => {
  response.writeHead(code);
  response.end();
};
const lie = () => {
  const bytes = CAR.slice();
  bytes[bytes.length - 5] ^= 1;
  return car(bytes);
};

const right = ({ bytes }) => assert.equal(hex(plainSha256(bytes)), HASH);
const states = (gateways) => gateways.report().map(({ state }) => state);

test("a gateway that lies is dropped, and never asked again", async () => {
  const liar = await gateway(lie());
  const honest = await gateway(car(CAR));
  let changes = 0;
  const gateways = new Gateways([liar.base, honest.base], { changed: () => (changes += 1) });
  for (let i = 0; i < 3; i += 1) {
    const got = await gateways.file(ID);
    right(got);
    assert.equal(got.base, honest.base);
  }
  assert.deepEqual([liar.asked.length, honest.asked.length, changes], [1, 3, 1]);
  assert.deepEqual(states(gateways), ["dropped", "ready"]);
  assert.match(gateways.report()[0].why, /not what its id says/);
  assert.equal(honest.asked[0], `/ipfs/${ID}?format=car`);
});

test("other content, rubbish, and a page instead of content are lies", async () => {
  const other = JSON.parse(readFileSync(file)).cases.find(({ name }) => name === "v1-dfs");
  const missing = await gateway(car(Buffer.from(other.in.car_b64, "base64")));
  const rubbish = await gateway(car("rubbish".repeat(1000)));
  const page = await gateway((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html" });
    response.end("<p>please log in</p>");
  });
  for (const [{ base }, want] of [[rubbish, "dropped"], [page, "dropped"], [missing, "failing"]]) {
    const gateways = new Gateways([base]);
    await assert.rejects(gateways.file(ID), Error);
    assert.deepEqual(states(gateways), [want], base);
  }
});

test("a gateway that has nothing, is cut off or gone is asked after others, and again later", async () => {
  const absent = await gateway(status(404));
  const cut = await gateway(car(CAR.subarray(0, CAR.length - 9)));
  const broken = await gateway((_, response) => {
    response.writeHead(200, { "Content-Type": "application/vnd.ipld.car", "Content-Length": CAR.length });
    response.write(CAR.subarray(0, 50), () => response.destroy());
  });
  const gone = "http://127.0.0.1:1";
  const honest = await gateway(car(CAR));
  let now = 0;
  const gateways = new Gateways([absent.base, cut.base, broken.base, gone, honest.base], { now: () => now });
  right(await gateways.file(ID));
  assert.deepEqual(states(gateways), ["failing", "failing", "failing", "failing", "ready"]);
  right(await gateways.file(ID));
  assert.deepEqual([absent.asked.length, cut.asked.length, honest.asked.length], [1, 1, 2]);
  now += 2_001;
  right(await gateways.file(ID));
  assert.deepEqual([absent.asked.length, cut.asked.length], [2, 2]);
  now += 2_001;
  right(await gateways.file(ID));
  assert.equal(absent.asked.length, 2, "the pause has doubled");
});

test("a gateway that failed is asked when nobody else is left", async () => {
  let good = false;
  const moody = await gateway((request, response) => (good ? car(CAR) : status(503))(request, response));
  const gateways = new Gateways([moody.base], { now: () => 0 });
  await assert.rejects(gateways.file(ID), /status 503/);
  good = true;
  right(await gateways.file(ID));
  assert.deepEqual(states(gateways), ["ready"]);
});

test("a gateway that is silent makes room for another", async () => {
  const silent = await gateway(() => {});
  const stops = await gateway((_, response) => {
    response.writeHead(200, { "Content-Type": "application/vnd.ipld.car" });
    response.write(CAR.subarray(0, 50));
  });
  const honest = await gateway(car(CAR));
  const gateways = new Gateways([silent.base, stops.base, honest.base], { silenceMs: 200 });
  right(await gateways.file(ID));
  assert.deepEqual(gateways.report().map(({ why }) => why), ["it takes too long", "it takes too long", null]);
});

test("a gateway that gives no archives is checked by cutting the file again", async () => {
  const text = Buffer.from("hello world");
  const hello = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
  const plain = await gateway((_, response) => {
    response.writeHead(200, { "Content-Type": "application/octet-stream" });
    response.end(text);
  });
  const picky = await gateway((request, response) =>
    request.url.includes("format") ? status(406)(request, response) : response.end(text),
  );
  for (const { base, asked } of [plain, picky]) {
    const gateways = new Gateways([base]);
    for (let i = 0; i < 2; i += 1) assert.equal(Buffer.from((await gateways.file(hello)).bytes).toString(), "hello world");
    assert.equal(asked.filter((url) => url.includes("format")).length, 1, "asked for an archive once");
  }
});

test("who sends without end is dropped", async () => {
  const endless = await gateway((_, response) => {
    response.writeHead(200, { "Content-Type": "application/vnd.ipld.car" });
    const more = () => response.write(Buffer.alloc(1 << 20), (gone) => gone || more());
    more();
  });
  const gateways = new Gateways([endless.base], { limit: 1 << 20 });
  await assert.rejects(gateways.file(ID), /more than a segment/);
  assert.deepEqual(states(gateways), ["dropped"]);
});

test("content that is no file is nobody's lie", async () => {
  const honest = await gateway(car(CAR));
  const gateways = new Gateways([honest.base], { limit: 100 });
  await assert.rejects(gateways.file(ID), /too large/);
  assert.deepEqual(states(gateways), ["ready"]);
});

test("who stops waiting blames nobody", async () => {
  const silent = await gateway(() => {});
  const gateways = new Gateways([silent.base]);
  const controller = new AbortController();
  const asking = gateways.file(ID, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(asking, /enough/);
  assert.deepEqual(states(gateways), ["ready"]);
});

test("the content id of a segment is read from its address", () => {
  assert.equal(contentIdOf(`http://x/ipfs/${ID}?filename=3.ts`), ID);
  assert.equal(contentIdOf(`https://x/gw/ipfs/${ID}`), ID);
  assert.equal(contentIdOf("https://x/AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q?filename=3.ts"), null);
  assert.equal(contentIdOf(`https://x/?/ipfs/${ID}`), null);
});

/** Loads one segment as hls.js does; what it was told. */
function load(gateways, url, context = {}, config = {}) {
  const told = [];
  const Loader = verifyingLoader(gateways, (segment) => told.push(segment));
  const loader = new Loader({});
  return new Promise((resolve) => {
    const end = (how) => (...args) => resolve({ how, args, told, loader });
    const callbacks = { onSuccess: end("success"), onError: end("error"), onTimeout: end("timeout") };
    loader.load({ url, frag: { sn: 7 }, ...context }, { timeout: 20_000, ...config }, callbacks);
  });
}

test("the player gets what was checked, whole or a part of it", async () => {
  const honest = await gateway(car(CAR));
  const url = `${honest.base}/ipfs/${ID}?filename=7.ts`;
  const whole = await load(new Gateways([honest.base]), url);
  assert.equal(whole.how, "success");
  const [{ data }, stats] = whole.args;
  assert.ok(data instanceof ArrayBuffer);
  assert.equal(hex(plainSha256(new Uint8Array(data))), HASH);
  assert.ok(stats.loading.start <= stats.loading.first && stats.loading.first <= stats.loading.end);
  assert.equal(stats.loaded, data.byteLength);
  assert.deepEqual([whole.told[0].id, whole.told[0].base], [ID, honest.base]);

  const part = await load(new Gateways([honest.base]), url, { rangeStart: 5, rangeEnd: 9 });
  assert.deepEqual(new Uint8Array(part.args[0].data), new Uint8Array(data.slice(5, 9)));
});

test("the player gets an error and no bytes when all gateways lie", async () => {
  const liar = await gateway(lie());
  const { how, args, told } = await load(new Gateways([liar.base]), `${liar.base}/ipfs/${ID}`);
  assert.deepEqual([how, told.length], ["error", 0]);
  assert.match(args[0].text, /not what its id says/);
});

test("the player is told of a wait that is too long, and can break it off", async () => {
  const silent = await gateway(() => {});
  const gateways = new Gateways([silent.base]);
  const late = await load(gateways, `${silent.base}/ipfs/${ID}`, {}, { loadPolicy: { maxLoadTimeMs: 50 } });
  assert.equal(late.how, "timeout");

  const Loader = verifyingLoader(gateways, () => assert.fail("nothing was loaded"));
  const loader = new Loader({});
  const never = () => assert.fail("the player broke it off");
  const callbacks = { onSuccess: never, onError: never, onTimeout: never };
  loader.load({ url: `${silent.base}/ipfs/${ID}` }, { timeout: 20_000 }, callbacks);
  loader.abort();
  assert.ok(loader.stats.aborted);
  loader.destroy();
  await new Promise(setImmediate);
});

test("the check is of the archive's file, not of its roots", async () => {
  assert.equal((await fileOfCar(parseCid(ID), CAR, 1 << 20)).length, vector.out.file_size);
});
