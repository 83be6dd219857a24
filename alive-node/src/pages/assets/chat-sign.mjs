// Signing what a visitor says: with a key that is kept in this page, or with Hive Keychain, which shows no key to any page.

import { base58, hex } from "./cid.mjs";
import { getPublicKey, sign } from "./secp256k1.mjs";
import { plainSha256 } from "./sha256.mjs";
import { digestOf } from "./chat-verify.mjs";

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/** The first byte of a private key in the wallet import format. */
const WIF = 0x80;
/** Texts of keys have 51 characters at most; whoever pastes more has pasted something else. */
const MAX_KEY = 64;
/** More attempts are never needed: each fails with a chance of three in four. */
const MAX_ATTEMPTS = 256;

/** A key that is kept in memory. */
export class PageKey {
  #secret;
  #recoveryId;
  /** The public key in hexadecimal digits. */
  publicKey;

  /** Reads the text of a private key. `recoveryId` says that it is one of a network that signs as Avalon does. */
  constructor(text, recoveryId) {
    const bytes = text.length <= MAX_KEY ? decode(text) : null;
    this.#secret = bytes && (recoveryId ? plainKey(bytes) : wifKey(bytes));
    this.#recoveryId = recoveryId;
    try {
      this.publicKey = hex(getPublicKey(this.#secret, true));
    } catch {
      throw new Error("That is no private key.");
    }
  }

  /** Signs a text: the fields `s` and, on Avalon, `r`. */
  async sign(text) {
    const digest = digestOf(text);
    const signature = this.#recoveryId ? this.#low(digest) : this.#canonical(digest);
    if (this.#recoveryId) return { s: encode(signature.subarray(1)), r: signature[0] };
    return { s: hex(Uint8Array.of(31 + signature[0], ...signature.subarray(1))) };
  }

  #low(digest, extraEntropy = false) {
    return sign(digest, this.#secret, { prehash: false, format: "recovered", extraEntropy });
  }

  /** Chains of the Graphene family take only signatures whose numbers need no further byte. */
  #canonical(digest) {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const entropy = attempt > 0 && plainSha256(Uint8Array.of(...digest, attempt));
      const signature = this.#low(digest, entropy);
      if (isCanonical(signature.subarray(1, 33)) && isCanonical(signature.subarray(33))) return signature;
    }
    throw new Error("The text cannot be signed.");
  }
}

/** Hive Keychain: the text goes to the extension, the person is asked, a signature comes back. */
export class Keychain {
  #name;

  constructor(name) {
    this.#name = name;
  }

  /** Whether the browser has it. */
  static isThere() {
    return typeof globalThis.hive_keychain?.requestSignBuffer === "function";
  }

  sign(text) {
    return new Promise((done, failed) => {
      if (!Keychain.isThere()) return failed(new Error("Hive Keychain is not there."));
      globalThis.hive_keychain.requestSignBuffer(this.#name, text, "Posting", (answer) => {
        if (answer?.success && typeof answer.result === "string") done({ s: answer.result });
        else failed(new Error(`Hive Keychain has not signed: ${answer?.message ?? "no reason given"}`));
      });
    });
  }
}

function isCanonical(number) {
  return number[0] < 0x80 && !(number[0] === 0 && number[1] < 0x80);
}

/** The wallet import format: a byte, the key, and the first four bytes of the digest of the digest of both. */
function wifKey(bytes) {
  if (bytes.length !== 37 || bytes[0] !== WIF) return null;
  const sum = plainSha256(plainSha256(bytes.subarray(0, 33)));
  return bytes.subarray(33).every((byte, at) => byte === sum[at]) ? bytes.slice(1, 33) : null;
}

function plainKey(bytes) {
  return bytes.length === 32 ? bytes : null;
}

function decode(text) {
  try {
    return base58(text);
  } catch {
    return null;
  }
}

function encode(bytes) {
  let value = BigInt(`0x${hex(bytes)}`);
  let text = "";
  for (; value > 0n; value /= 58n) text = BASE58[Number(value % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros < 0 ? bytes.length : zeros) + text;
}
