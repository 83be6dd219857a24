// Content ids of IPFS as the chains take them: version 0, or version 1 in base32 or base58. Source: spec/storage.md,
// section 3.

import { Incomplete } from "./errors.mjs";

export const DAG_PB = 0x70;
export const RAW = 0x55;
export const SHA2_256 = 0x12;
export const IDENTITY = 0x00;

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
/** Longest text that is looked at. */
const MAX_TEXT = 1024;
/** An identity id holds its content in itself, at most so many bytes; a digest of anything has at least 20. */
const MAX_IDENTITY = 128;
const MIN_DIGEST = 20;
const MAX_DIGEST = 64;

/** The id that a text is; throws if it is none. */
export function parseCid(text) {
  if (text.length > MAX_TEXT) throw new Error("content id: too long");
  if (text.startsWith("Q")) {
    const bytes = base58(text);
    if (bytes.length !== 34 || bytes[0] !== SHA2_256 || bytes[1] !== 32) throw new Error("content id: not of version 0");
    return { version: 0, codec: DAG_PB, hash: SHA2_256, digest: bytes.subarray(2) };
  }
  const decode = { b: base32, z: base58 }[text[0]];
  if (!decode) throw new Error("content id: a base that chains do not take");
  const bytes = decode(text.slice(1));
  if (bytes[0] === SHA2_256 && bytes[1] === 32) throw new Error("content id: version 0 in a base");
  const { cid, end } = readCid(bytes, 0);
  if (end !== bytes.length) throw new Error("content id: something after its end");
  return cid;
}

/** The id that stands in `bytes` at `at`, and where it ends; throws if none does. */
export function readCid(bytes, at) {
  if (bytes[at] === SHA2_256 && bytes[at + 1] === 32) {
    const end = at + 34;
    if (end > bytes.length) throw new Error("content id: cut off");
    return { cid: { version: 0, codec: DAG_PB, hash: SHA2_256, digest: bytes.subarray(at + 2, end) }, end };
  }
  let version, codec, hash, length;
  [version, at] = readVarint(bytes, at);
  if (version !== 1) throw new Error("content id: unknown version");
  [codec, at] = readVarint(bytes, at);
  [hash, at] = readVarint(bytes, at);
  [length, at] = readVarint(bytes, at);
  const fits = hash === IDENTITY ? length <= MAX_IDENTITY : length >= MIN_DIGEST && length <= MAX_DIGEST;
  if (!fits) throw new Error("content id: a digest of this length is none");
  const end = at + length;
  if (end > bytes.length) throw new Error("content id: cut off");
  return { cid: { version, codec, hash, digest: bytes.subarray(at, end) }, end };
}

/** A number as protocols of IPFS write it, in its shortest form, and where it ends. Larger ones than 2^53 mean nothing here. */
export function readVarint(bytes, at) {
  let value = 0;
  let scale = 1;
  for (let count = 1; count <= 9; count += 1) {
    const byte = bytes[at];
    if (byte === undefined) throw new Incomplete("number: cut off");
    at += 1;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) {
      if (byte === 0 && count > 1) throw new Error("number: not in its shortest form");
      if (!Number.isSafeInteger(value)) throw new Error("number: too large");
      return [value, at];
    }
  }
  throw new Error("number: too long");
}

/** The multihash as a text: two ids with the same name the same block. */
export function blockName(cid) {
  return `${cid.hash}:${hex(cid.digest)}`;
}

/** Whether two ids are the same but for how they are written. */
export function sameCid(a, b) {
  return a.codec === b.codec && blockName(a) === blockName(b);
}

/** The bytes as they stand in a link of a block. */
export function cidBytes(cid) {
  if (cid.version === 0) return Uint8Array.of(cid.hash, cid.digest.length, ...cid.digest);
  return Uint8Array.of(1, ...varint(cid.codec), ...varint(cid.hash), ...varint(cid.digest.length), ...cid.digest);
}

/** A number below 2^53 as protocols of IPFS write it. */
export function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return bytes;
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function base58(text) {
  const bytes = [];
  for (const char of text) {
    let carry = BASE58.indexOf(char);
    if (carry < 0) throw new Error("content id: a character that base58 does not have");
    for (let i = 0; i < bytes.length; i += 1) {
      carry += bytes[i] * 58;
      bytes[i] = carry & 0xff;
      carry >>= 8;
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 0xff);
  }
  for (const char of text) {
    if (char !== "1") break;
    bytes.push(0);
  }
  return Uint8Array.from(bytes.reverse());
}

function base32(text) {
  const bytes = [];
  let value = 0;
  let bits = 0;
  for (const char of text) {
    const digit = BASE32.indexOf(char);
    if (digit < 0) throw new Error("content id: a character that base32 does not have");
    value = (value << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
      value &= (1 << bits) - 1;
    }
  }
  if (bits >= 5 || value !== 0) throw new Error("content id: its last character says nothing");
  return Uint8Array.from(bytes);
}
