// The chat beside the player. Which chat it is stands in the page as data, see `pages/chat.rs`.

import { Visitor, faceOf } from "./chat-account.mjs";
import { HiveApi } from "./chat-keys.mjs";
import { Log } from "./chat-log.mjs";
import { Keychain, PageKey } from "./chat-sign.mjs";
import { messageText, requestText, safeText } from "./chat-text.mjs";
import { Accounts, readMessage, recover } from "./chat-verify.mjs";

/** Signatures that are checked before the page gets its turn. */
const AT_ONCE = 8;
/** A clock that is wrong by more than this, in milliseconds, is set by that of the node. */
const CLOCK_MS = 5_000;
/** How soon messages are looked at again whose keys could not be had, and how often. */
const LATER_MS = 5_000;
const ATTEMPTS = 5;
/** How long a message may take until it is seen. */
const UNSEEN_MS = 10_000;
/** How soon the connection is tried again where the browser has given it up; it doubles each time. */
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;
/** How often it is looked whether there is a Keychain: extensions come when they come. */
const KEYCHAIN_MS = 500;
const KEYCHAIN_LOOKS = 20;
const KEEP = "alive-chat";
/** Whom the visitor believes about keys: a setting of this browser. */
const KEYS_FROM = "alive-chat-keys-from";

const find = (id) => document.getElementById(id);
const root = find("chat");
const { chat, path, streamer } = root.dataset;
const recoveryIds = new Map(JSON.parse(root.dataset.networks).map(({ name, recovery_id }) => [name, recovery_id]));

const log = new Log(find("chat-log"), find("chat-newer"), streamer);
const accounts = new Accounts(`${chat}/accounts`);
const checked = { good: 0, bad: 0, open: 0 };
let visitor = null;
let slowMs = 0;
/** By how much the clock of this machine is wrong. */
let clockMs = 0;
/** What happens one after the other, in the order in which it was told. */
let queue = Promise.resolve();
let retryMs = FIRST_RETRY_MS;
let said = "";
/** Whether something is being signed or sent. */
let isBusy = false;
let clock = null;
let events = null;

chooseAgain();
listen();
wire();
lookForKeychain(KEYCHAIN_LOOKS);
if (!signInAgain()) face();

// What is told.

function listen() {
  const source = new EventSource(`${chat}/events`);
  events = source;
  const on = (name, handle) =>
    source.addEventListener(name, ({ data }) => {
      queue = queue.then(() => handle(JSON.parse(data))).catch((why) => console.warn(`chat: ${why.message}`));
    });
  source.addEventListener("open", () => (retryMs = FIRST_RETRY_MS));
  source.addEventListener("error", () => {
    link("lost", "Connecting again");
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    setTimeout(() => (source === events ? listen() : undefined), retryMs);
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  });
  on("chat", begin);
  on("show", (message) => take([message]));
  on("hide", ({ digest }) => log.hide(digest));
  on("account", ({ account }) => (account === visitor?.account ? lookUp() : undefined));
  on("slow", ({ seconds }) => setSlow(seconds));
  on("state", showState);
}

// Who is believed about keys.

/** Believes whom the visitor chooses; every message is looked at again, with the keys that he tells. */
function choose(url) {
  accounts.believe(url ? new HiveApi(url) : null);
  queue = queue.then(() => {
    for (const digest of log.digests()) log.hide(digest);
    Object.assign(checked, { good: 0, bad: 0, open: 0 });
    showChecked();
  });
  events?.close();
  listen();
}

/** Believes whom the visitor has chosen before, if the node still offers it. */
function chooseAgain() {
  const field = find("chat-keys-from");
  if (!field) return;
  const chosen = setting();
  if ([...field.options].some(({ value }) => value === chosen)) field.value = chosen;
  if (field.value) accounts.believe(new HiveApi(field.value));
  field.addEventListener("change", () => {
    setting(field.value);
    choose(field.value);
  });
}

/** Sets the setting, or gives it. A browser may allow neither. */
function setting(url) {
  try {
    if (url === undefined) return localStorage.getItem(KEYS_FROM) ?? "";
    localStorage.setItem(KEYS_FROM, url);
  } catch {
    // Then it is forgotten with the page.
  }
  return "";
}

/** All that is seen now; what is not in it is not seen any more. */
async function begin({ messages, now, slow_seconds, ...state }) {
  clockMs = Math.abs(now - Date.now()) > CLOCK_MS ? now - Date.now() : 0;
  setSlow(slow_seconds);
  const kept = await take(messages);
  for (const digest of log.digests()) if (!kept.has(digest)) log.hide(digest);
  find("chat-log").setAttribute("aria-live", "polite");
  await showState(state);
}

/** Shows messages that their accounts have signed, for this stream; the digests of those. */
async function take(messages, attempt = 1) {
  const good = new Set();
  const waiting = [];
  const read = messages.map(readMessage).filter((message) => message && recoveryIds.has(message.n));
  checked.bad += messages.length - read.length;
  await accounts.prepare(read.map(({ n, u }) => `${n}/${u}`));
  for (const [at, message] of read.entries()) {
    if (at % AT_ONCE === AT_ONCE - 1) await new Promise((turn) => setTimeout(turn));
    const found = recover(message, path, recoveryIds.get(message.n));
    if (found && log.has(found.digest)) {
      good.add(found.digest);
      continue;
    }
    const account = `${message.n}/${message.u}`;
    const owned = found ? await accounts.owns(account, found.key) : false;
    if (owned === null && attempt < ATTEMPTS) waiting.push(message);
    if (!owned) {
      if (owned === false) checked.bad += 1;
      continue;
    }
    checked.good += 1;
    good.add(found.digest);
    log.show(message, found.digest);
    if (account === visitor?.account) visitor.shown(message.t);
    if (found.digest === said) note("");
  }
  checked.open = waiting.length;
  if (waiting.length > 0) setTimeout(() => (queue = queue.then(() => take(waiting, attempt + 1))), LATER_MS * attempt);
  showChecked();
  face();
  return good;
}

function setSlow(seconds) {
  slowMs = seconds * 1_000;
  if (visitor) visitor.slowMs = slowMs;
  face();
}

async function showState({ connected, caught_up }) {
  if (!connected) link("lost", "The node has lost AliveDB");
  else if (!caught_up) link("wait", "Reading");
  else link("good", "Connected");
  // Before all rules were read nobody was known.
  if (visitor && caught_up) await lookUp();
}

function showChecked() {
  const { good, bad, open } = checked;
  const parts = [`${good} good`];
  if (bad > 0) parts.push(`${bad} not shown because nobody of that name signed them`);
  if (open > 0) parts.push(`${open} wait for keys`);
  setText(find("chat-checked"), parts.join(", "));
}

// Who the visitor is.

/** Signs in with a wallet, if the node knows the account; a key has to be its posting key. */
async function signIn(account, wallet) {
  const [told] = await accounts.load([account]);
  if (!told || told.keys === undefined) throw new Error("The account cannot be looked up now. Try again in a moment.");
  if (told.keys === null) throw new Error(`There is no account ${account}.`);
  const { posting, active, owner } = told.keys;
  if (wallet.publicKey && !posting.includes(wallet.publicKey)) {
    const strong = active.includes(wallet.publicKey) || owner.includes(wallet.publicKey);
    throw new Error(strong ? "That is your active or owner key: use the posting key." : `That is no key of ${account}.`);
  }
  visitor = new Visitor(account, wallet, { isStreamer: account === streamer });
  visitor.slowMs = slowMs;
  visitor.told(told.standing);
  face();
}

async function lookUp() {
  const asked = visitor;
  const [told] = await accounts.load([asked.account]);
  if (told && asked === visitor) visitor.told(told.standing);
  face();
}

function signOut() {
  visitor = null;
  keep(null);
  note("");
  face();
  find("chat-in").querySelector("summary").focus();
}

/** What was kept in this tab, if anything was. */
function signInAgain() {
  const kept = keep();
  if (!kept) return false;
  const { account, key } = kept;
  const recoveryId = recoveryIds.get(account.split("/")[0]);
  if (recoveryId === undefined || (!key && !Keychain.isThere())) return false;
  const wallet = key ? new PageKey(key, recoveryId) : new Keychain(account.split("/")[1]);
  signIn(account, wallet).catch((why) => note(why.message));
  return true;
}

/** What this tab keeps: sets it, forgets it (null), or gives it. A browser may allow none of this. */
function keep(what) {
  try {
    if (what === undefined) return JSON.parse(sessionStorage.getItem(KEEP));
    if (what === null) sessionStorage.removeItem(KEEP);
    else sessionStorage.setItem(KEEP, JSON.stringify(what));
  } catch {
    // Then it is forgotten with the page.
  }
  return null;
}

function accountOf() {
  return `${find("chat-network").value}/${find("chat-account").value.trim().replace(/^@/, "")}`;
}

async function enterWith(make) {
  const account = accountOf();
  const wanted = find("chat-keep").checked;
  const typed = find("chat-key").value.trim();
  try {
    const wallet = make(account, typed);
    await signIn(account, wallet);
    const key = wallet instanceof PageKey ? typed : undefined;
    if (wanted) keep({ account, key });
    find("chat-key").value = "";
    find("chat-in").open = false;
    note("");
    face();
    (visitor.standing === "approved" ? find("chat-text") : find("chat-ask")).focus();
  } catch (why) {
    note(why.message);
  }
}

function lookForKeychain(left) {
  const there = Keychain.isThere() && find("chat-network").value === "hive";
  find("chat-keychain").hidden = !there;
  if (!there && left > 0) setTimeout(() => lookForKeychain(left - 1), KEYCHAIN_MS);
}

// What the visitor does.

function wire() {
  find("chat-enter").addEventListener("submit", (event) => {
    event.preventDefault();
    enterWith((account, typed) => new PageKey(typed, recoveryIds.get(account.split("/")[0])));
  });
  find("chat-keychain").addEventListener("click", () => {
    if (find("chat-account").reportValidity()) enterWith((account) => new Keychain(account.split("/")[1]));
  });
  find("chat-network").addEventListener("change", () => lookForKeychain(0));
  find("chat-say").addEventListener("submit", (event) => {
    event.preventDefault();
    say();
  });
  find("chat-ask").addEventListener("click", ask);
  find("chat-out").addEventListener("click", signOut);
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key === "Escape" && root.contains(target)) return find("video").focus();
    if (key !== "c" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest("input, textarea, select")) return;
    event.preventDefault();
    if (!find("chat-say").hidden) find("chat-text").focus();
    else if (visitor) find("chat-log").focus();
    else find("chat-in").querySelector("summary").focus();
  });
}

function now() {
  return Date.now() + clockMs;
}

async function say() {
  const field = find("chat-text");
  const m = field.value;
  const { n, u } = visitor;
  if (m.trim() === "" || find("chat-send").disabled) return;
  busy(true);
  try {
    const message = { u, n, t: now(), m };
    Object.assign(message, await visitor.wallet.sign(messageText(message, path)));
    const { digest } = await post(chat, message);
    visitor.sent(now());
    field.value = "";
    said = digest;
    note(log.has(digest) ? "" : "Sent");
    setTimeout(() => {
      if (said === digest && !log.has(digest)) note("Your message has not come back: others may not see it.");
    }, UNSEEN_MS);
  } catch (why) {
    note(why.message);
  }
  busy(false);
  field.focus();
}

async function ask() {
  const { n, u } = visitor;
  busy(true);
  try {
    const request = { u, n, t: now() };
    Object.assign(request, await visitor.wallet.sign(requestText(request, path)));
    await post(`${chat}/requests`, request);
    visitor.told("asked");
    note("");
  } catch (why) {
    note(why.message);
  }
  busy(false);
}

/** Gives something signed to the node. What the node says against it is said to the visitor. */
async function post(url, signed) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(signed) }).catch(() => null);
  if (!response) throw new Error("The node cannot be reached. Try again in a moment.");
  if (response.ok) return response.json();
  const { detail } = await response.json().catch(() => ({}));
  if (response.status === 429) visitor.mustWait(Number(response.headers.get("retry-after") ?? 1) * 1_000, now());
  if (response.status === 403 || response.status === 409) await lookUp();
  throw new Error(`Not sent: ${detail ?? `status ${response.status}`}.`);
}

// What is seen.

function busy(is) {
  isBusy = is;
  face();
}

/** Shows what the visitor may do now, and again when a wait is over. */
function face() {
  const { note: text, mayWrite, mayAsk, mustWait = false } = faceOf(visitor, now());
  find("chat-say").hidden = !mayWrite;
  find("chat-me").hidden = visitor === null;
  find("chat-in").hidden = visitor !== null;
  find("chat-ask").hidden = !mayAsk;
  find("chat-ask").disabled = isBusy;
  find("chat-send").disabled = isBusy || mustWait;
  setText(find("chat-name"), visitor ? safeText(visitor.account) : "");
  root.dataset.standing = visitor?.standing ?? "reader";
  if (text) note(text, "face");
  else if (find("chat-note").dataset.of === "face") note("");
  clearTimeout(clock);
  if (mustWait) clock = setTimeout(face, 500);
}

function note(text, of = "said") {
  const element = find("chat-note");
  element.dataset.of = of;
  setText(element, text);
}

function link(state, text) {
  find("chat-link").dataset.state = state;
  setText(find("chat-link"), text);
}

/** Changes a text only if it is another one, so that readers of the screen do not read it again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
