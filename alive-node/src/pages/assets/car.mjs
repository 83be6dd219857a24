// Archives of blocks (CARv1), every block checked against its own id. Source: spec/storage.md, section 4.

import { IDENTITY, SHA2_256, blockName, hex, readCid, readVarint } from "./cid.mjs";
import { Incomplete } from "./errors.mjs";
import { sha256 } from "./sha256.mjs";
import { MAX_BLOCK } from "./unixfs.mjs";

/** Longest id in front of a block, and header. */
const MAX_CID = 256;
const MAX_HEADER = 64 << 10;

/**
 * The roots that an archive names and its blocks by `blockName`. Throws if it is broken anywhere or if any block is not
 * what its id says, whether somebody needs that block or not.
 */
export async function readCar(bytes) {
  let [length, at] = readVarint(bytes, 0);
  if (length > MAX_HEADER || at + length > bytes.length) throw new Incomplete("archive: its header is cut off");
  const roots = readHeader(bytes.subarray(at, at + length));
  at += length;
  const sections = [];
  while (at < bytes.length) {
    [length, at] = readVarint(bytes, at);
    if (length === 0) throw new Error("archive: an empty section");
    if (length > MAX_BLOCK + MAX_CID) throw new Error("archive: a block that is too large");
    if (at + length > bytes.length) throw new Incomplete("archive: cut off");
    const section = bytes.subarray(at, at + length);
    at += length;
    const { cid, end } = readCid(section, 0);
    const block = section.subarray(end);
    if (block.length > MAX_BLOCK) throw new Error("archive: a block that is too large");
    sections.push([cid, block]);
  }
  await Promise.all(sections.map(([cid, block]) => check(cid, block)));
  const blocks = new Map(sections.map(([cid, block]) => [blockName(cid), block]));
  return { roots, blocks, count: sections.length };
}

/** Throws if a block is not what its id says. */
async function check(cid, block) {
  const digest = { [SHA2_256]: () => sha256(block), [IDENTITY]: () => block }[cid.hash];
  if (!digest) throw new Error("archive: a hash that cannot be checked");
  if (hex(await digest()) !== hex(cid.digest)) throw new Error("archive: a block is not what its id says");
}

/** The roots of a header, which is DAG-CBOR: `{"roots": [links], "version": 1}`. */
function readHeader(bytes) {
  const { value, end } = readCbor(bytes, 0, 0);
  if (end !== bytes.length) throw new Error("archive: something after its header");
  if (!(value instanceof Map) || value.get("version") !== 1) throw new Error("archive: not of version 1");
  const roots = value.get("roots");
  if (!Array.isArray(roots) || !roots.every((root) => root?.digest)) throw new Error("archive: without a list of roots");
  return roots;
}

/** Deepest nesting of a header. */
const MAX_CBOR_DEPTH = 4;
const LINK_TAG = 42;

/** One value of strict DAG-CBOR, of the kinds that headers have. */
function readCbor(bytes, at, depth) {
  if (depth > MAX_CBOR_DEPTH) throw new Error("archive: its header is nested too deep");
  const [kind, count, start] = readCborHead(bytes, at);
  at = start;
  const rest = () => {
    if (at + count > bytes.length) throw new Error("archive: its header is cut off");
    const part = bytes.subarray(at, at + count);
    at += count;
    return part;
  };
  const next = () => {
    const { value, end } = readCbor(bytes, at, depth + 1);
    at = end;
    return value;
  };
  let value;
  switch (kind) {
    case 0:
      value = count;
      break;
    case 2:
      value = rest();
      break;
    case 3:
      value = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(rest());
      break;
    case 4:
      value = [];
      for (let i = 0; i < count; i += 1) value.push(next());
      break;
    case 5:
      value = new Map();
      for (let i = 0; i < count; i += 1) {
        const key = next();
        if (typeof key !== "string" || value.has(key)) throw new Error("archive: a name that is none, or given twice");
        value.set(key, next());
      }
      break;
    case 6:
      value = readLink(count, next());
      break;
    default:
      throw new Error("archive: a value that headers do not have");
  }
  return { value, end: at };
}

function readLink(tag, bytes) {
  if (tag !== LINK_TAG || !(bytes instanceof Uint8Array) || bytes[0] !== 0) throw new Error("archive: a root that is no id");
  const { cid, end } = readCid(bytes, 1);
  if (end !== bytes.length) throw new Error("archive: a root that is no id");
  return cid;
}

/** Kind, number in its shortest form, and where it ends. */
function readCborHead(bytes, at) {
  const first = bytes[at];
  if (first === undefined) throw new Error("archive: its header is cut off");
  const info = first & 0x1f;
  if (info < 24) return [first >> 5, info, at + 1];
  const size = { 24: 1, 25: 2, 26: 4 }[info];
  if (!size || at + 1 + size > bytes.length) throw new Error("archive: a number of its header is cut off or too large");
  let count = 0;
  for (let i = 1; i <= size; i += 1) count = count * 256 + bytes[at + i];
  const least = { 1: 24, 2: 256, 4: 65536 }[size];
  if (count < least) throw new Error("archive: a number of its header is not in its shortest form");
  return [first >> 5, count, at + 1 + size];
}
