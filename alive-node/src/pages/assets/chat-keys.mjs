// The keys of Hive's accounts as an API tells them that the visitor has chosen, so that the node need not be believed.

import { base58, hex } from "./cid.mjs";

const PATIENCE_MS = 10_000;
const NETWORK = "hive/";
/** Marks a key of Hive; 33 bytes of key and 4 of a checksum follow. */
const PREFIX = "STM";
const KEY_BYTES = 33;
const CHECKSUM_BYTES = 4;
/** Most keys of a role that are taken: more than the chain allows. */
const MOST_KEYS = 64;

/** Asks an API of Hive for the keys of accounts. */
export class HiveApi {
  #url;
  #fetch;

  constructor(url, { fetch = globalThis.fetch.bind(globalThis) } = {}) {
    this.#url = url;
    this.#fetch = fetch;
  }

  /** Whether it tells of this account. */
  knows(account) {
    return account.startsWith(NETWORK);
  }

  /**
   * The keys of each of these accounts, by full name, in hexadecimal digits as the node tells them; null where there is no such
   * account. An account of which the answer does not say what it should is not in it.
   */
  async keys(accounts) {
    const names = accounts.filter(this.knows).map((account) => account.slice(NETWORK.length));
    if (names.length === 0) return new Map();
    const request = { jsonrpc: "2.0", id: 1, method: "condenser_api.get_accounts", params: [names] };
    const response = await this.#fetch(this.#url, {
      method: "POST",
      body: JSON.stringify(request),
      // No cookie and no address of this page goes there, and nobody else is asked in its name.
      credentials: "omit",
      referrerPolicy: "no-referrer",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { result } = await response.json();
    if (!Array.isArray(result)) throw new Error("the API has not told of accounts");
    const told = new Map(names.map((name) => [NETWORK + name, null]));
    for (const account of result) {
      const name = NETWORK + account?.name;
      if (told.has(name)) told.set(name, keysOf(account));
    }
    for (const [name, keys] of told) if (keys === undefined) told.delete(name);
    return told;
  }
}

/** The keys of all roles; undefined if one is none. */
function keysOf({ posting, active, owner }) {
  try {
    return { posting: keysOfRole(posting), active: keysOfRole(active), owner: keysOfRole(owner) };
  } catch {
    return undefined;
  }
}

function keysOfRole({ key_auths }) {
  if (!Array.isArray(key_auths) || key_auths.length > MOST_KEYS) throw new Error("no keys");
  return key_auths.map(([key]) => readKey(key));
}

/** A public key as Hive writes it. Its checksum is against slips of the pen, which nobody makes here. */
function readKey(text) {
  if (typeof text !== "string" || text.length > 64 || !text.startsWith(PREFIX)) throw new Error("no key");
  const bytes = base58(text.slice(PREFIX.length));
  if (bytes.length !== KEY_BYTES + CHECKSUM_BYTES || ![2, 3].includes(bytes[0])) throw new Error("no key");
  return hex(bytes.subarray(0, KEY_BYTES));
}
