// Whether a message was signed by its account, for this stream. Nobody is believed but the signature.

import { base58, hex } from "./cid.mjs";
import { hashes, recoverPublicKey } from "./secp256k1.mjs";
import { plainSha256 } from "./sha256.mjs";
import { messageText } from "./chat-text.mjs";

// The browser's own SHA-256 is there only over https and on localhost; this one always is.
hashes.sha256 = plainSha256;
hashes.hmacSha256 = hmac;

/** How long an account is believed to have the keys that were told. */
const KEYS_MS = 600_000;
/** How soon they are asked for again because a signature did not match. */
const AGAIN_MS = 30_000;
/** Most accounts that are asked for at once, and that are remembered. */
const AT_ONCE = 32;
const MOST = 5_000;
const PATIENCE_MS = 10_000;

const encoder = new TextEncoder();

/** The digest of a text, as bytes. */
export function digestOf(text) {
  return plainSha256(encoder.encode(text));
}

/** A message in its right form, or null: a text of no other form could say what nobody signed. */
export function readMessage(message) {
  if (message === null || typeof message !== "object") return null;
  const { u, n, s, r, t, m, ...rest } = message;
  const texts = [u, n, s, m].every((text) => typeof text === "string" && text !== "");
  if (!texts || !Number.isFinite(t) || t === 0 || Object.keys(rest).length > 0) return null;
  // What would make the signed text ambiguous, and what UTF-8 cannot say.
  if (/[_/]/.test(u + n) || /[\ud800-\udfff]/u.test(m)) return null;
  return { u, n, s, r, t, m };
}

/**
 * The digest of a message and the key that signed it for the stream `path`, both in hexadecimal digits; null if no key did.
 * `recoveryId` says that its network keeps the recovery id beside the signature, as Avalon does.
 */
export function recover(message, path, recoveryId) {
  const digest = digestOf(messageText(message, path));
  try {
    const signature = recoveryId ? avalonSignature(message) : grapheneSignature(message.s);
    const key = recoverPublicKey(signature, digest, { prehash: false });
    return { digest: hex(digest), key: hex(key) };
  } catch {
    return null;
  }
}

/** 130 hexadecimal digits: 31 + recovery id, r, s. */
function grapheneSignature(text) {
  if (!/^[0-9a-f]{130}$/i.test(text)) throw new Error("no signature");
  const bytes = Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
  bytes[0] -= 31;
  return bytes;
}

/** r and s in base58, with the recovery id beside them. */
function avalonSignature({ s, r }) {
  const bytes = s.length <= 90 ? base58(s) : [];
  if (bytes.length !== 64 || ![0, 1, 2, 3].includes(r)) throw new Error("no signature");
  return Uint8Array.of(r, ...bytes);
}

/** Source: RFC 2104. Keys of more than a block do not come up. */
function hmac(key, message) {
  const pad = (byte) => Uint8Array.from({ length: 64 }, (_, at) => (key[at] ?? 0) ^ byte);
  const join = (a, b) => Uint8Array.of(...a, ...b);
  return plainSha256(join(pad(0x5c), plainSha256(join(pad(0x36), message))));
}

/** The keys of accounts, as the node tells them or an API that the visitor has chosen. */
export class Accounts {
  #address;
  #api = null;
  #known = new Map();
  #fetch;
  #now;

  /** `address` is the node's route for accounts. */
  constructor(address, { fetch = globalThis.fetch.bind(globalThis), now = () => performance.now() } = {}) {
    this.#address = address;
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Believes this API about the keys of the accounts that it knows, and nobody else; null is the node again. */
  believe(api) {
    this.#api = api;
    this.#known.clear();
  }

  /** Whether one of the account's keys is this one; null when its keys cannot be had now. */
  async owns(account, key) {
    if (this.#age(account) > KEYS_MS) await this.load([account]);
    if (this.#known.get(account)?.keys.has(key)) return true;
    // It may have other keys by now.
    if (this.#age(account) > AGAIN_MS) await this.load([account]);
    return this.#known.get(account)?.keys.has(key) ?? null;
  }

  /** Asks for accounts that are not known, so that they need not be asked for one by one. */
  async prepare(accounts) {
    const unknown = [...new Set(accounts)].filter((account) => this.#age(account) > KEYS_MS);
    for (let at = 0; at < unknown.length; at += AT_ONCE) await this.load(unknown.slice(at, at + AT_ONCE));
  }

  /** Asks for accounts; what the node tells of each, with the keys that are believed. */
  async load(accounts) {
    const api = this.#api;
    const [told, own] = await Promise.all([this.#ask(accounts).catch(() => []), ownKeys(api, accounts)]);
    // The visitor has chosen anew meanwhile: what was asked before does not count any more.
    if (api !== this.#api) return this.load(accounts);
    for (const one of told) if (api?.knows(one.account)) one.keys = own.get(one.account);
    const all = new Map(told.map(({ account, keys }) => [account, keys]));
    for (const [account, keys] of own) all.set(account, keys);
    for (const [account, keys] of all) {
      if (keys === undefined) continue;
      const any = keys === null ? [] : [...keys.posting, ...keys.active, ...keys.owner];
      this.#known.delete(account);
      this.#known.set(account, { keys: new Set(any), at: this.#now() });
      if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value);
    }
    return told;
  }

  async #ask(accounts) {
    const url = `${this.#address}?names=${encodeURIComponent(accounts.join(","))}`;
    const response = await this.#fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return (await response.json()).accounts;
  }

  #age(account) {
    const known = this.#known.get(account);
    return known ? this.#now() - known.at : Infinity;
  }
}

/** What an API tells of accounts; nothing when it cannot be asked. */
async function ownKeys(api, accounts) {
  return (await api?.keys(accounts).catch(() => null)) ?? new Map();
}
