// Where segments come from: gateways, asked one after the other, none of them believed.

import { parseCid } from "./cid.mjs";
import { Incomplete, Lie } from "./errors.mjs";
import { concat } from "./unixfs.mjs";
import { fileOfCar, fileOfPlain } from "./verify.mjs";

/** Largest segment: a minute at 17 Mbit/s, many times what is usual. */
const MAX_FILE = 128 << 20;
/** What an archive may have besides the file: ids and inner nodes. */
const MAX_BESIDES = 4 << 20;
/** How long a gateway may send nothing before another one is asked. */
const SILENCE_MS = 8_000;
/** The wait before a gateway that failed is asked before others again; it doubles each time. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

const CAR = "application/vnd.ipld.car";

/**
 * Gateways by the addresses in front of `/ipfs/`, best first. `changed` is called when one of them fails, lies or works
 * again.
 */
export class Gateways {
  #all;
  #options;

  constructor(bases, options = {}) {
    const fresh = (base) => ({ base, state: "ready", why: null, failures: 0, pausedUntil: 0, plain: false });
    this.#all = [...new Set(bases)].map(fresh);
    this.#options = { silenceMs: SILENCE_MS, limit: MAX_FILE, now: () => Date.now(), changed: () => {}, ...options };
  }

  /** For people: address and state of each, which is `ready`, `failing` or `dropped`, and why. */
  report() {
    return this.#all.map(({ base, state, why }) => ({ base, state, why }));
  }

  /**
   * The file that a content id names, checked, and the gateway that had it. A gateway that sends something else is never
   * asked again, one that has nothing is asked later. Throws when no gateway has it.
   */
  async file(id, { signal, progress } = {}) {
    const cid = parseCid(id);
    const reasons = [];
    for (const gateway of this.#order()) {
      try {
        const bytes = await this.#ask(gateway, id, cid, signal, progress);
        this.#settle(gateway, "ready", null);
        return { bytes, base: gateway.base };
      } catch (why) {
        if (signal?.aborted) throw signal.reason;
        if (why instanceof Lie) this.#settle(gateway, "dropped", why.message);
        else if (why instanceof Incomplete) this.#settle(gateway, "failing", why.message);
        else throw why;
        reasons.push(`${gateway.base || "this node"}: ${why.message}`);
      }
    }
    throw new Incomplete(reasons.join("; ") || "no gateway is left");
  }

  /** Those that failed lately come last, and are asked all the same when nobody else is left. */
  #order() {
    const now = this.#options.now();
    const left = this.#all.filter(({ state }) => state !== "dropped");
    const paused = ({ pausedUntil }) => pausedUntil > now;
    return [...left.filter((gateway) => !paused(gateway)), ...left.filter(paused)];
  }

  #settle(gateway, state, why) {
    const before = gateway.state;
    gateway.failures = state === "ready" ? 0 : gateway.failures + 1;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (gateway.failures - 1), LONGEST_PAUSE_MS);
    gateway.pausedUntil = state === "ready" ? 0 : this.#options.now() + pause;
    gateway.state = state;
    gateway.why = why;
    if (state !== before) this.#options.changed();
  }

  /** An archive of the blocks, or the plain file where a gateway gives no archives. */
  async #ask(gateway, id, cid, signal, progress) {
    const url = `${gateway.base}/ipfs/${id}`;
    if (!gateway.plain) {
      const { status, type, bytes } = await this.#fetch(`${url}?format=car`, { Accept: CAR }, signal, progress);
      if (status === 200 && type === CAR) return fileOfCar(cid, bytes, this.#options.limit);
      gateway.plain = true;
      if (status === 200) return fileOfPlain(cid, bytes);
    }
    const { status, bytes } = await this.#fetch(url, {}, signal, progress);
    if (status !== 200) throw new Incomplete(`status ${status}`);
    return fileOfPlain(cid, bytes);
  }

  /** An answer that is good, or that says that archives are not given. */
  async #fetch(url, headers, signal, progress) {
    const ours = new AbortController();
    const stop = () => ours.abort();
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    let silent = false;
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        stop();
      }, this.#options.silenceMs);
    };
    heard();
    try {
      const options = { headers, signal: ours.signal, credentials: "omit", referrerPolicy: "no-referrer" };
      const response = await fetch(url, options);
      heard();
      const { status } = response;
      const type = (response.headers.get("content-type") ?? "").split(";")[0].trim();
      if (status === 406) {
        await response.body?.cancel();
        return { status, type, bytes: null };
      }
      if (status !== 200) {
        await response.body?.cancel();
        throw new Incomplete(`status ${status}`);
      }
      return { status, type, bytes: await this.#read(response, heard, progress) };
    } catch (why) {
      if (why instanceof Incomplete || why instanceof Lie) throw why;
      throw new Incomplete(silent ? "it takes too long" : "it cannot be reached");
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      stop();
    }
  }

  async #read(response, heard, progress) {
    const limit = this.#options.limit + MAX_BESIDES;
    const parts = [];
    let size = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return concat(parts, size);
      heard();
      size += value.length;
      if (size > limit) throw new Lie("it sends more than a segment");
      parts.push(value);
      progress?.(size);
    }
  }
}
