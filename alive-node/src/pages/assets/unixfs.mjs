// Files as trees of blocks: read from blocks whose hashes were checked, or cut into blocks to learn their id. Source:
// spec/storage.md, section 2.

import { DAG_PB, IDENTITY, RAW, SHA2_256, blockName, cidBytes, readCid, varint } from "./cid.mjs";
import { Incomplete } from "./errors.mjs";
import { sha256 } from "./sha256.mjs";

/** Largest block. */
export const MAX_BLOCK = 2 << 20;
/** Deepest tree. */
const MAX_DEPTH = 32;
/** Most nodes of a tree, counted each time they are linked: 64 GiB of usual leaves. Bounds a tree of nothing but empty files. */
const MAX_NODES = 1 << 18;
/** How files are cut that were added with the usual settings. */
export const PROFILES = [
  { chunk: 256 << 10, links: 174, version: 0, raw: false },
  { chunk: 256 << 10, links: 174, version: 1, raw: true },
  { chunk: 1 << 20, links: 1024, version: 1, raw: true },
  { chunk: 1 << 20, links: 174, version: 1, raw: true },
  { chunk: 256 << 10, links: 174, version: 1, raw: false },
  { chunk: 256 << 10, links: 174, version: 0, raw: true },
];

/**
 * The bytes of the file that `root` names, at most `limit`. `blocks` has the checked bytes of each block by its
 * `blockName`. Throws if a block is missing or the tree is no file.
 */
export function readFile(root, blocks, limit) {
  const parts = [];
  let nodes = 0;
  let size = 0;

  const read = (cid, depth) => {
    nodes += 1;
    if (depth > MAX_DEPTH || nodes > MAX_NODES) throw new Error("file: too deep or too many blocks");
    const bytes = cid.hash === IDENTITY ? cid.digest : blocks.get(blockName(cid));
    if (!bytes) throw new Incomplete("file: a block is missing");
    if (cid.codec === RAW) return take(bytes);
    if (cid.codec !== DAG_PB) throw new Error("file: a block that is no part of a file");
    const node = decodeNode(bytes);
    let total = take(node.data);
    node.links.forEach((link, i) => {
      const below = read(link, depth + 1);
      if (below !== node.sizes[i]) throw new Error("file: a part has not the size that is said");
      total += below;
    });
    if (total !== node.size) throw new Error("file: it has not the size that is said");
    return total;
  };
  const take = (bytes) => {
    size += bytes.length;
    if (size > limit) throw new Error("file: too large");
    if (bytes.length > 0) parts.push(bytes);
    return bytes.length;
  };

  read(root, 0);
  return concat(parts, size);
}

/** Cuts a file as a profile says and tells the id of its root. */
export async function fileCid(bytes, profile) {
  let level = [];
  for (let at = 0; at < bytes.length || at === 0; at += profile.chunk) {
    level.push(await leaf(bytes.subarray(at, at + profile.chunk), profile));
  }
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at < level.length; at += profile.links) {
      above.push(await parent(level.slice(at, at + profile.links), profile));
    }
    level = above;
  }
  return level[0].cid;
}

async function leaf(piece, profile) {
  if (profile.raw) {
    const cid = { version: 1, codec: RAW, hash: SHA2_256, digest: await sha256(piece) };
    return { cid, size: piece.length, total: piece.length };
  }
  const data = piece.length > 0 ? [Uint8Array.of(0x12, ...varint(piece.length)), piece] : [];
  return node([], [Uint8Array.of(0x08, 2), ...data, Uint8Array.of(0x18, ...varint(piece.length))], piece.length, 0, profile);
}

function parent(children, profile) {
  const size = children.reduce((sum, child) => sum + child.size, 0);
  const sizes = children.flatMap((child) => [0x20, ...varint(child.size)]);
  const links = children.map((child) => {
    const cid = cidBytes(child.cid);
    const link = [0x0a, ...varint(cid.length), ...cid, 0x12, 0, 0x18, ...varint(child.total)];
    return Uint8Array.of(0x12, ...varint(link.length), ...link);
  });
  const below = children.reduce((sum, child) => sum + child.total, 0);
  return node(links, [Uint8Array.of(0x08, 2, 0x18, ...varint(size)), Uint8Array.from(sizes)], size, below, profile);
}

async function node(links, data, size, below, profile) {
  const length = data.reduce((sum, part) => sum + part.length, 0);
  const parts = [...links, Uint8Array.of(0x0a, ...varint(length)), ...data];
  const block = concat(parts, parts.reduce((sum, part) => sum + part.length, 0));
  const cid = { version: profile.version, codec: DAG_PB, hash: SHA2_256, digest: await sha256(block) };
  return { cid, size, total: block.length + below };
}

/** Type of a UnixFS node, as protobuf numbers it. */
const RAW_NODE = 0;
const FILE_NODE = 2;

function decodeNode(bytes) {
  const links = [];
  let unixfs = null;
  for (const { field, wire, value } of fields(bytes)) {
    if (field === 2 && wire === 2) links.push(decodeLink(value));
    else if (field === 1 && wire === 2 && unixfs === null) unixfs = value;
    else throw new Error("file: a node that is broken");
  }
  if (unixfs === null) throw new Error("file: a node without data");
  const node = { links, sizes: [], data: new Uint8Array(0), size: 0 };
  const seen = new Set();
  let type = null;
  for (const { field, wire, value } of fields(unixfs)) {
    const want = { 1: 0, 2: 2, 3: 0, 4: 0 }[field];
    const repeated = field !== 4 && seen.has(field);
    seen.add(field);
    if (want !== undefined && (want !== wire || repeated)) throw new Error("file: a node that is broken");
    if (field === 1) type = value;
    else if (field === 2) node.data = value;
    else if (field === 3) node.size = value;
    else if (field === 4) node.sizes.push(value);
  }
  if (type !== FILE_NODE && type !== RAW_NODE) throw new Error("file: it is something else");
  if (node.sizes.length !== links.length) throw new Error("file: parts and sizes do not match");
  return node;
}

function decodeLink(bytes) {
  for (const { field, wire, value } of fields(bytes)) {
    if (field !== 1) continue;
    if (wire !== 2) break;
    const { cid, end } = readCid(value, 0);
    if (end !== value.length) break;
    return cid;
  }
  throw new Error("file: a link without a content id");
}

/** The fields of a protobuf message. */
function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    let key, value;
    [key, at] = readLoose(bytes, at);
    const wire = key % 8;
    const field = (key - wire) / 8;
    if (wire === 0) {
      [value, at] = readLoose(bytes, at);
    } else {
      let length = { 1: 8, 5: 4 }[wire];
      if (wire === 2) [length, at] = readLoose(bytes, at);
      if (length === undefined || at + length > bytes.length) throw new Error("file: a node that is cut off");
      value = bytes.subarray(at, at + length);
      at += length;
    }
    yield { field, wire, value };
  }
}

/** Protobuf does not ask for the shortest form. */
function readLoose(bytes, at) {
  let value = 0;
  for (let scale = 1, count = 0; count < 10; count += 1, scale *= 128) {
    const byte = bytes[at];
    if (byte === undefined) break;
    at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (!Number.isSafeInteger(value)) break;
      return [value, at];
    }
  }
  throw new Error("file: a number that is broken");
}

/** One array of several. */
export function concat(parts, size) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
