// What the watch page checks, against the golden vectors and against any bytes. Run by `node --test`.

import assert from "node:assert/strict";
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { readCar } from "../../../src/pages/assets/car.mjs";
import { RAW, SHA2_256, blockName, cidBytes, hex, parseCid, sameCid, varint } from "../../../src/pages/assets/cid.mjs";
import { plainSha256, sha256 } from "../../../src/pages/assets/sha256.mjs";
import { PROFILES, fileCid, readFile } from "../../../src/pages/assets/unixfs.mjs";
import { fileOfCar, fileOfPlain } from "../../../src/pages/assets/verify.mjs";

const LIMIT = 256 << 20;

function cases(kind) {
  const file = JSON.parse(readFileSync(new URL(`../../../../vectors/${kind}.json`, import.meta.url)));
  assert.equal(file.format, "alive-vectors/1");
  assert.ok(file.cases.length > 0);
  return file.cases;
}

function bytesOf(text, encoding) {
  return new Uint8Array(Buffer.from(text, encoding));
}

/** What a vector is about: a text, or bytes of a generator. */
function content({ text_b64: text, generator, seed, size }) {
  if (text !== undefined) return bytesOf(text, "base64");
  const bytes = new Uint8Array(Number(size));
  if (generator === "zero") return bytes;
  if (generator === "chacha20-sha256") {
    const key = createHash("sha256").update(seed).digest();
    return new Uint8Array(createCipheriv("chacha20", key, Buffer.alloc(16)).update(bytes));
  }
  assert.equal(generator, "xorshift64star");
  const MASK = (1n << 64n) - 1n;
  const words = new BigUint64Array(Math.ceil(bytes.length / 8));
  let x = BigInt(seed) || 0x9e3779b97f4a7c15n;
  for (let i = 0; i < words.length; i += 1) {
    x ^= x >> 12n;
    x = (x ^ (x << 25n)) & MASK;
    x ^= x >> 27n;
    words[i] = (x * 0x2545f4914f6cdd1dn) & MASK;
  }
  bytes.set(new Uint8Array(words.buffer, 0, bytes.length));
  return bytes;
}

function car(roots, blocks) {
  const links = roots.map((root) => {
    const bytes = [0, ...cidBytes(root)];
    return [0xd8, 42, 0x58, bytes.length, ...bytes];
  });
  const text = (name) => [0x60 | name.length, ...Buffer.from(name)];
  const header = [0xa2, ...text("roots"), 0x80 | roots.length, ...links.flat(), ...text("version"), 1];
  const section = (bytes) => [...varint(bytes.length), ...bytes];
  const sections = blocks.map(([cid, block]) => section([...cidBytes(cid), ...block]));
  return Uint8Array.from([...section(header), ...sections.flat()]);
}

const rawCid = (block) => ({ version: 1, codec: RAW, hash: SHA2_256, digest: plainSha256(block) });
const nodeCid = (block) => ({ version: 0, codec: 0x70, hash: SHA2_256, digest: plainSha256(block) });

/** A file node of children with these sizes. */
function fileNode(children) {
  const links = children.map(([cid]) => {
    const bytes = cidBytes(cid);
    return [0x12, bytes.length + 2, 0x0a, bytes.length, ...bytes];
  });
  const size = children.reduce((sum, [, size]) => sum + size, 0);
  const data = [8, 2, 0x18, ...varint(size), ...children.flatMap(([, size]) => [0x20, ...varint(size)])];
  return Uint8Array.from([...links.flat(), 0x0a, ...varint(data.length), ...data]);
}

test("the plain hash is the browser's and that of others", async () => {
  for (const length of [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 300_000]) {
    const bytes = new Uint8Array(randomBytes(length));
    const want = createHash("sha256").update(bytes).digest("hex");
    assert.equal(hex(plainSha256(bytes)), want, `${length} bytes`);
    assert.equal(hex(await sha256(bytes)), want, `${length} bytes`);
  }
});

test("ids are read where chains take them, and refused elsewhere", () => {
  for (const { name, in: input, out } of cases("storage.cid")) {
    const read = () => parseCid(input.cid);
    if (out.error || !out.alive_accepts) {
      assert.throws(read, Error, name);
      continue;
    }
    const cid = read();
    const got = [cid.version, cid.codec, cid.hash, hex(cid.digest), hex(cidBytes(cid))];
    assert.deepEqual(got, [out.version, out.codec, out.hash_code, out.digest_hex, out.cid_bytes_hex], name);
  }
});

test("archives give the file or are refused", async () => {
  for (const { name, in: input, out } of cases("storage.car")) {
    const archive = bytesOf(input.car_b64, "base64");
    const read = async () => {
      const root = parseCid(input.expected_root);
      const { roots, count } = await readCar(archive);
      if (input.strict_roots && !roots.some((other) => sameCid(root, other))) throw new Error("not among the roots");
      return { file: await fileOfCar(root, archive, LIMIT), count };
    };
    if (out.error) {
      await assert.rejects(read, Error, name);
      continue;
    }
    const { file, count } = await read();
    assert.deepEqual([count, file.length, hex(plainSha256(file))], [out.block_count, out.file_size, out.file_sha256_hex], name);
  }
});

test("a changed byte anywhere in an archive never gives another file", async () => {
  const { in: input, out } = cases("storage.car").find(({ name }) => name === "v0-dfs");
  const good = bytesOf(input.car_b64, "base64");
  const root = parseCid(input.expected_root);
  for (let at = 0; at < good.length; at += 1) {
    const bad = good.slice();
    bad[at] ^= 1 << at % 8;
    const file = await fileOfCar(root, bad, LIMIT).catch(() => null);
    if (file) assert.equal(hex(plainSha256(file)), out.file_sha256_hex, `byte ${at}`);
  }
});

test("files cut as usual have the ids that other programs give them", async () => {
  let compared = 0;
  for (const { name, in: input, out } of cases("storage.unixfs")) {
    if (Number(input.size ?? 0) > 12 << 20) continue;
    const preset = {
      "unixfs-v0-2015": PROFILES[0],
      "cid-v1-256k": PROFILES[1],
      "unixfs-v1-2025": PROFILES[2],
    }[input.profile];
    const given = (value, usual) => (value === undefined ? usual : Number(value));
    const profile = {
      chunk: given(input.chunk_size, preset.chunk),
      links: given(input.max_links, preset.links),
      version: given(input.cid_version, preset.version),
      raw: input.raw_leaves === undefined ? preset.raw : String(input.raw_leaves).toLowerCase() === "true",
    };
    const bytes = content(input);
    const want = parseCid(out.cid);
    assert.ok(sameCid(await fileCid(bytes, profile), want), name);
    compared += 1;
    if (profile.chunk < 1000) continue;
    assert.equal(await fileOfPlain(want, bytes), bytes, name);
    if (bytes.length === 0) continue;
    const lie = bytes.slice();
    lie[lie.length >> 1] ^= 1;
    await assert.rejects(fileOfPlain(want, lie), Error, name);
  }
  assert.ok(compared > 40, `${compared} files`);
});

test("a file of parts is put together, and each contradiction refused", async () => {
  const [one, two] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)];
  const node = fileNode([[rawCid(one), 3], [rawCid(two), 1], [rawCid(one), 3]]);
  const archive = car([], [[nodeCid(node), node], [rawCid(one), one], [rawCid(two), two]]);
  assert.deepEqual([...(await fileOfCar(nodeCid(node), archive, 7))], [1, 2, 3, 4, 1, 2, 3]);
  await assert.rejects(fileOfCar(nodeCid(node), archive, 6), /too large/);

  const wrong = fileNode([[rawCid(one), 2]]);
  const lying = car([], [[nodeCid(wrong), wrong], [rawCid(one), one]]);
  await assert.rejects(fileOfCar(nodeCid(wrong), lying, LIMIT), /not the size/);

  // The sum is right, the parts are not.
  const swapped = fileNode([[rawCid(one), 1], [rawCid(two), 3]]);
  const parts = [[rawCid(one), one], [rawCid(two), two]];
  await assert.rejects(fileOfCar(nodeCid(swapped), car([], [[nodeCid(swapped), swapped], ...parts]), LIMIT), /not the size/);

  // The bytes of a file under an id that says they are something else.
  const other = { ...nodeCid(node), version: 1, codec: 0x71 };
  await assert.rejects(fileOfCar(other, car([], [[other, node], ...parts]), LIMIT), /no part of a file/);
});

test("an archive is strict where it can be written in two ways", async () => {
  const block = Uint8Array.of(1);
  const good = [...car([], [[rawCid(block), block]])];
  assert.deepEqual([...(await fileOfCar(rawCid(block), Uint8Array.from(good), LIMIT))], [1]);
  await assert.rejects(readCar(Uint8Array.from([...good, 0])), /empty section/);
  // The number of the version in two bytes, and the length before the header counted up.
  const at = good[0];
  assert.equal(good[at], 1);
  const long = [good[0] + 1, ...good.slice(1, at), 0x18, 1, ...good.slice(at + 1)];
  await assert.rejects(readCar(Uint8Array.from(long)), /shortest form/);
});

test("a tree of nothing ends soon", async () => {
  const empty = new Uint8Array(0);
  let below = rawCid(empty);
  const blocks = new Map([[blockName(below), empty]]);
  // Each level links the one below a thousand times: 1000^10 nodes.
  for (let level = 0; level < 10; level += 1) {
    const node = fileNode(Array.from({ length: 1000 }, () => [below, 0]));
    below = nodeCid(node);
    blocks.set(blockName(below), node);
  }
  assert.throws(() => readFile(below, blocks, LIMIT), /too many blocks/);
});

test("any bytes are refused without harm", async () => {
  const root = rawCid(Uint8Array.of(1));
  for (let i = 0; i < 2000; i += 1) {
    const bytes = new Uint8Array(randomBytes(i % 200));
    await assert.rejects(fileOfCar(root, bytes, LIMIT), Error);
  }
});
