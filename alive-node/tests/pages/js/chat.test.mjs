// What the chat checks, signs and shows, against the golden vectors and against any bytes. Run by `node --test`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Visitor, faceOf } from "../../../src/pages/assets/chat-account.mjs";
import { HiveApi } from "../../../src/pages/assets/chat-keys.mjs";
import { Keychain, PageKey } from "../../../src/pages/assets/chat-sign.mjs";
import { messageText, requestText, resembles, safeText, skeleton } from "../../../src/pages/assets/chat-text.mjs";
import { Accounts, digestOf, readMessage, recover } from "../../../src/pages/assets/chat-verify.mjs";
import { base58, hex } from "../../../src/pages/assets/cid.mjs";

function cases(kind) {
  const file = JSON.parse(readFileSync(new URL(`../../../../vectors/${kind}.json`, import.meta.url)));
  assert.equal(file.format, "alive-vectors/1");
  assert.ok(file.cases.length > 0);
  return file.cases;
}

const pathOf = ({ network, streamer, link }) => `${network}/${streamer}/${link}`;
const NETWORKS = new Map([["hive", false], ["blurt", false], ["avalon", true]]);

/** The text of a public key as bytes in hexadecimal digits: those of Graphene have a prefix and a check sum. */
const keyBytes = (network, text) => hex(base58(network === "avalon" ? text : text.slice(3)).slice(0, 33));

/** Refusals that are not about form, key and signature: the node decides about those, by time and standing. */
const OF_THE_NODE = /^(banned-user|blacklisted|state-3000|live-now-3000)/;

test("messages of the golden vectors are told apart as everywhere", () => {
  let good = 0;
  let bad = 0;
  for (const { name, in: given, out } of cases("chat.message")) {
    if (OF_THE_NODE.test(name)) continue;
    const message = readMessage(given.message);
    const known = message && NETWORKS.has(message.n);
    const found = known ? recover(message, pathOf(given.stream), NETWORKS.get(message.n)) : null;
    const keys = (found && given.keys[message.n]?.[message.u]) ?? [];
    const allowed = found !== null && keys.some((key) => keyBytes(message.n, key) === found.key);
    assert.equal(allowed, out.error === undefined, name);
    if (out.error === undefined) {
      assert.equal(found.digest, out.digest_hex, name);
      assert.equal(found.key, keyBytes(message.n, out.pub), name);
      good += 1;
    } else bad += 1;
  }
  assert.ok(good >= 15 && bad >= 20, `${good} ${bad}`);
});

test("what has another form is no message", () => {
  const good = { u: "alice", n: "hive", s: "1f", t: 5, m: "a" };
  assert.deepEqual(readMessage(good), { ...good, r: undefined });
  for (const other of [
    null,
    "x",
    [],
    { ...good, u: 5 },
    { ...good, u: "al_ice" },
    { ...good, n: "hi/ve" },
    { ...good, m: "" },
    { ...good, m: "half \ud800 a pair" },
    { ...good, t: "5" },
    { ...good, t: Infinity },
    { ...good, t: 0 },
    { ...good, x: 1 },
    { ...good, s: undefined },
  ]) {
    assert.equal(readMessage(other), null, JSON.stringify(other));
  }
});

test("any bytes are no signature, and no error", () => {
  const message = { u: "alice", n: "hive", t: 5, m: "a" };
  for (const s of ["", "1f", "z".repeat(130), "ff".repeat(65), "1f".padEnd(130, "0"), "9".repeat(5_000)]) {
    assert.equal(recover({ ...message, s }, "hive/bob/x", false), null, s.slice(0, 20));
    for (const r of [undefined, -1, 0, 3, 4, 0.5, "0"]) recover({ ...message, s, r }, "hive/bob/x", true);
  }
  for (let n = 0; n < 300; n += 1) {
    const bytes = Uint8Array.from({ length: 65 }, (_, at) => (at === 0 ? 31 + (n % 4) : (n * 7919 * (at + 1)) & 255));
    const found = recover({ ...message, s: hex(bytes) }, "hive/bob/x", false);
    assert.ok(found === null || /^0[23][0-9a-f]{64}$/.test(found.key));
  }
});

test("keys are read as on the chain, and nothing else is", () => {
  let read = 0;
  let refused = 0;
  for (const { name, in: { action, wif }, out } of cases("hive.key")) {
    if (action !== "from_wif") continue;
    if (out.error) {
      assert.throws(() => new PageKey(wif, false), /no private key/, name);
      refused += 1;
    } else {
      assert.equal(new PageKey(wif, false).publicKey, out.public_hex, name);
      read += 1;
    }
  }
  for (const { name, in: { op, b58 }, out } of cases("avalon.key")) {
    if (op !== "private") continue;
    if (out.error) assert.throws(() => new PageKey(b58, true), /no private key/, name);
    else assert.equal(new PageKey(b58, true).publicKey, out.public_hex, name);
  }
  assert.ok(read >= 10 && refused >= 5, `${read} ${refused}`);
  assert.throws(() => new PageKey("5".repeat(100_000), false), /no private key/);
});

test("signatures of Avalon are the same to the byte", async () => {
  for (const { name, in: given, out } of cases("avalon.chat_sign")) {
    const fields = { u: given.username, n: given.network, t: given.ts, m: given.message };
    const text = given.op === "request" ? requestText(fields, pathOf({ ...given, network: given.stream_network }))
      : messageText(fields, pathOf({ ...given, network: given.stream_network }));
    assert.equal(hex(digestOf(text)), out.hash, name);
    const { s, r } = await new PageKey(given.private_b58, true).sign(text);
    assert.deepEqual([s, r], [out.signature_b58, out.recid], name);
  }
});

test("signatures of Hive are canonical and tell the key", async () => {
  const wallet = new PageKey("5JmjNbjjWKSagouiMApk8VLJk3QzaK8hmPauzNgf2dXAefhB1Wz", false);
  const path = "hive/alice/s";
  for (let n = 1; n <= 60; n += 1) {
    const message = { u: "alice", n: "hive", t: n, m: `text ${n}` };
    const { s } = await wallet.sign(messageText(message, path));
    assert.match(s, /^[12][0-9a-f]{129}$/);
    const [r0, r1, s0, s1] = [2, 4, 66, 68].map((at) => parseInt(s.slice(at, at + 2), 16));
    for (const [a, b] of [[r0, r1], [s0, s1]]) assert.ok(a < 0x80 && !(a === 0 && b < 0x80), s);
    const found = recover({ ...message, s }, path, false);
    assert.equal(found.key, wallet.publicKey);
    assert.notEqual(recover({ ...message, s }, "hive/alice/other", false)?.key, wallet.publicKey);
    assert.notEqual(recover({ ...message, s, m: "else" }, path, false)?.key, wallet.publicKey);
  }
});

test("Keychain is given the text and gives a signature or a reason", async () => {
  const asked = [];
  const wallet = new Keychain("alice");
  await assert.rejects(wallet.sign("a text"), /not there/);
  const answers = [{ success: true, result: "1f" }, { success: false, message: "User canceled" }, undefined, { success: true, result: 5 }];
  globalThis.hive_keychain = {
    requestSignBuffer: (...args) => {
      asked.push(args.slice(0, 3));
      args[3](answers.shift());
    },
  };
  assert.ok(Keychain.isThere());
  assert.deepEqual(await wallet.sign("a text"), { s: "1f" });
  await assert.rejects(wallet.sign("a text"), /User canceled/);
  await assert.rejects(wallet.sign("a text"), /no reason given/);
  await assert.rejects(wallet.sign("a text"), /has not signed/);
  assert.deepEqual(asked[0], ["alice", "a text", "Posting"]);
  delete globalThis.hive_keychain;
});

test("accounts are asked for once, many at a time, and again when a key does not match", async () => {
  const asked = [];
  let now = 0;
  let keys = { posting: ["aa"], active: ["bb"], owner: ["cc"] };
  const fetch = async (url) => {
    const names = decodeURIComponent(url.split("names=")[1]).split(",");
    asked.push(names.length);
    if (keys === "down") throw new Error("down");
    return { ok: true, json: async () => ({ accounts: names.map((account) => ({ account, standing: "approved", keys })) }) };
  };
  const accounts = new Accounts("/x/accounts", { fetch, now: () => now });
  await accounts.prepare(Array.from({ length: 70 }, (_, n) => `hive/user${n}`));
  assert.deepEqual(asked, [32, 32, 6]);
  for (const key of ["aa", "bb", "cc"]) assert.equal(await accounts.owns("hive/user3", key), true);
  assert.equal(await accounts.owns("hive/user3", "dd"), false);
  assert.equal(asked.length, 3, "who sends nonsense does not make the page ask");
  keys = { posting: ["dd"], active: [], owner: [] };
  now = 30_001;
  assert.equal(await accounts.owns("hive/user3", "dd"), true);
  assert.equal(await accounts.owns("hive/user3", "aa"), false);
  keys = "down";
  assert.equal(await accounts.owns("hive/other", "aa"), null, "cannot be told now");
  keys = null;
  assert.equal(await accounts.owns("hive/other", "aa"), false, "there is no such account");
});

// A public key of Hive, as text and as bytes.
const STM = "STM8m5UgaFAAYQRuaNejYdS8FVLVp9Ss3K1qAVk5de6F8s3HnVbvA";
const STM_BYTES = hex(base58(STM.slice(3)).slice(0, 33));
const role = (...keys) => ({ weight_threshold: 1, account_auths: [], key_auths: keys.map((key) => [key, 1]) });
const accountOf = (name, key) => ({ name, posting: role(key), active: role(), owner: role() });

/** An API that answers with this, and what it was asked. */
function apiOf(answer) {
  const asked = [];
  const fetch = async (url, options) => {
    asked.push({ url, ...options, body: JSON.parse(options.body) });
    if (answer instanceof Error) throw answer;
    return { ok: true, json: async () => answer };
  };
  return { api: new HiveApi("https://api.example", { fetch }), asked };
}

test("an API is asked for the keys of Hive's accounts, and gets to know nothing else", async () => {
  const { api, asked } = apiOf({ result: [accountOf("bob", STM), accountOf("mallory", STM)] });
  const told = await api.keys(["hive/bob", "avalon/carol", "hive/nobody"]);
  const bob = { posting: [STM_BYTES], active: [], owner: [] };
  assert.deepEqual([...told], [["hive/bob", bob], ["hive/nobody", null]], "and who was not asked for is not told");
  assert.equal(asked.length, 1);
  const [{ url, body, credentials, referrerPolicy, redirect, headers }] = asked;
  assert.deepEqual([url, body.method, body.params], ["https://api.example", "condenser_api.get_accounts", [["bob", "nobody"]]]);
  assert.deepEqual([credentials, referrerPolicy, redirect, headers], ["omit", "no-referrer", "error", undefined]);
  assert.equal((await api.keys(["avalon/carol"])).size, 0);
  assert.equal(asked.length, 1, "of other networks it is not asked");
});

test("what an API says wrongly makes nobody's keys", async () => {
  for (const answer of [null, {}, { error: "x" }, { result: {} }, { result: "x" }, new Error("down")]) {
    await assert.rejects(apiOf(answer).api.keys(["hive/bob"]), undefined, JSON.stringify(answer));
  }
  const wrong = [STM.slice(3), STM.slice(0, -1), `${STM}1`, `STM${"0".repeat(50)}`, 7, null, "STM", "x".repeat(1000)];
  for (const key of wrong) {
    const told = await apiOf({ result: [accountOf("bob", key)] }).api.keys(["hive/bob"]);
    assert.equal(told.has("hive/bob"), false, String(key));
  }
  const many = { ...accountOf("bob", STM), owner: role(...Array(65).fill(STM)) };
  for (const account of [{ name: "bob" }, { ...accountOf("bob", STM), posting: null }, many]) {
    assert.equal((await apiOf({ result: [account, null] }).api.keys(["hive/bob"])).has("hive/bob"), false);
  }
});

test("who is chosen is believed about keys of Hive, and the node about all else", async () => {
  const node = { "hive/bob": "aa", "avalon/carol": "cc" };
  const fetch = async (url) => {
    const names = decodeURIComponent(url.split("names=")[1]).split(",");
    const accounts = names.filter((name) => name in node).map((account) => {
      return { account, standing: "approved", keys: { posting: [node[account]], active: [], owner: [] } };
    });
    return { ok: true, json: async () => ({ accounts }) };
  };
  const accounts = new Accounts("/x/accounts", { fetch, now: () => 0 });
  assert.equal(await accounts.owns("hive/bob", "aa"), true);
  accounts.believe(apiOf({ result: [accountOf("bob", STM), accountOf("dave", STM)] }).api);
  assert.equal(await accounts.owns("hive/bob", "aa"), false, "what the node said is forgotten");
  assert.equal(await accounts.owns("hive/bob", STM_BYTES), true);
  assert.equal(await accounts.owns("hive/dave", STM_BYTES), true, "the node does not have to know him");
  assert.equal(await accounts.owns("avalon/carol", "cc"), true);
  const [told] = await accounts.load(["hive/bob"]);
  assert.deepEqual([told.standing, told.keys.posting], ["approved", [STM_BYTES]]);
  accounts.believe(apiOf(new Error("down")).api);
  assert.equal(await accounts.owns("hive/bob", "aa"), null, "the node is not asked in its stead");
  assert.equal((await accounts.load(["hive/bob"]))[0].keys, undefined);
  assert.equal(await accounts.owns("avalon/carol", "cc"), true);
  accounts.believe(null);
  assert.equal(await accounts.owns("hive/bob", "aa"), true);
});

test("a visitor may write once he is let in, not faster than readers take it", () => {
  const reader = faceOf(null, 0);
  assert.deepEqual([reader.mayWrite, reader.mayAsk], [false, false]);
  const visitor = new Visitor("hive/bob", null);
  assert.deepEqual([visitor.n, visitor.u], ["hive", "bob"]);
  const face = (now = 0) => {
    const { mayWrite, mayAsk, mustWait = false, note } = faceOf(visitor, now);
    return [mayWrite, mayAsk, mustWait, note];
  };
  assert.deepEqual(face().slice(0, 2), [false, true]);
  visitor.told("asked");
  visitor.told("unknown");
  assert.deepEqual(face().slice(0, 2), [false, false], "the node knows of no answer yet");
  assert.match(face()[3], /has been asked/);
  visitor.told("approved");
  assert.deepEqual(face(), [true, false, false, ""]);
  for (let n = 0; n < 4; n += 1) visitor.sent(1_000);
  assert.equal(visitor.wait(1_000), 0);
  visitor.sent(1_000);
  assert.deepEqual(face(1_000), [true, false, true, "2 s to wait"]);
  assert.equal(visitor.wait(2_051), 0);
  visitor.slowMs = 10_000;
  visitor.shown(5_000);
  assert.deepEqual(face(6_000), [true, false, true, "Slow mode: 9 s to wait"]);
  visitor.isStreamer = true;
  assert.equal(visitor.wait(6_000), 0);
  visitor.mustWait(3_000, 6_000);
  assert.equal(visitor.wait(6_000), 3_000);
  visitor.told("banned");
  assert.deepEqual(face(6_000), [false, false, false, "You are banned from this chat."]);
});

test("names that people confuse are told", () => {
  assert.equal(skeleton("techc0derx"), skeleton("techcoderx"));
  for (const [a, b, alike] of [
    ["hive/alice", "hive/a1ice", true],
    ["hive/alice", "blurt/alice", true],
    ["hive/clave", "hive/dave", true],
    ["hive/vvill", "hive/will", true],
    ["hive/mod.alive", "hive/mod-alive", true],
    ["hive/alice", "hive/alice", false],
    ["hive/alice", "hive/alcie", false],
  ]) {
    assert.equal(resembles(a, b), alike, `${a} ${b}`);
  }
});

test("what strangers wrote acts on nothing", () => {
  assert.equal(safeText("\u001b[2J\u202eevil"), "<1B>[2J<202E>evil");
  assert.equal(safeText("a\nb"), "a<A>b");
  for (const text of ["مرحبا", "नमस्ते", "e\u0301", "👨\u200d👩\u200d👧", "❤\ufe0f", "<img src=x onerror=alert(1)>"]) {
    assert.equal(safeText(text), text);
  }
  const tower = safeText(`a${"\u0301".repeat(50)}`);
  assert.equal(tower.split("\u0301").length - 1, 4);
});
