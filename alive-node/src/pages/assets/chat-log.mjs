// The messages that are seen, by time. Text of strangers becomes text and nothing else.

import { resembles, safeText } from "./chat-text.mjs";

/** Most messages in the page; the oldest go first. */
const MOST = 500;
/** Closer to the end than this, in pixels, a reader is taken along with what is new. */
const NEAR = 48;
/** Colours that tell accounts apart. */
const HUES = 6;

export class Log {
  #list;
  #newer;
  #streamer;
  /** By digest: the item and its time. */
  #shown = new Map();

  /** `streamer` is the full name of the one whom others may want to be taken for. */
  constructor(list, newer, streamer) {
    this.#list = list;
    this.#newer = newer;
    this.#streamer = streamer;
    newer.addEventListener("click", () => {
      this.#toEnd();
      list.focus();
    });
    list.addEventListener("scroll", () => {
      if (this.#isAtEnd()) newer.hidden = true;
    });
  }

  has(digest) {
    return this.#shown.has(digest);
  }

  digests() {
    return [...this.#shown.keys()];
  }

  /** Shows a message at its place: by time, then digest. */
  show({ u, n, t, m }, digest) {
    if (this.has(digest)) return;
    const item = this.#item(`${n}/${u}`, t, m);
    item.dataset.digest = digest;
    item.dataset.time = String(t);
    const follow = this.#isAtEnd();
    let before = this.#list.lastElementChild;
    while (before && isLater(before, t, digest)) before = before.previousElementSibling;
    if (before) before.after(item);
    else this.#list.prepend(item);
    this.#shown.set(digest, item);
    while (this.#shown.size > MOST) this.hide(this.#list.firstElementChild.dataset.digest);
    if (follow) this.#toEnd();
    else if (item === this.#list.lastElementChild) this.#newer.hidden = false;
  }

  hide(digest) {
    this.#shown.get(digest)?.remove();
    this.#shown.delete(digest);
  }

  #item(account, t, m) {
    const item = document.createElement("li");
    const time = document.createElement("time");
    const date = new Date(t);
    if (!Number.isNaN(date.getTime())) {
      time.dateTime = date.toISOString();
      time.title = date.toLocaleString();
      time.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    }
    // Names and texts are kept from turning what stands beside them.
    const who = document.createElement("bdi");
    who.className = "chat-who";
    who.dataset.hue = String(hueOf(account));
    who.textContent = safeText(account);
    const text = document.createElement("bdi");
    text.className = "chat-said";
    text.textContent = safeText(m);
    item.append(time, " ", who, ...this.#marks(account), " ", text);
    return item;
  }

  /** What a reader should know of an account. */
  #marks(account) {
    const mark = (text, name) => {
      const element = document.createElement("span");
      element.className = `chat-mark ${name}`;
      element.textContent = text;
      return [" ", element];
    };
    if (account === this.#streamer) return mark("streamer", "chat-streamer");
    return resembles(account, this.#streamer) ? mark("NOT the streamer", "chat-false") : [];
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #toEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#newer.hidden = true;
  }
}

function hueOf(account) {
  let mixed = 0;
  for (const char of account) mixed = (Math.imul(mixed, 31) + char.codePointAt(0)) >>> 0;
  return mixed % HUES;
}

function isLater(item, t, digest) {
  const time = Number(item.dataset.time);
  return time > t || (time === t && item.dataset.digest > digest);
}
