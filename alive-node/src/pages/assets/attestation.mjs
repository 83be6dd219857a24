// Which of the played segments the chain names, and which only the live layer announced so far.

/** The wait between asking, while there are segments that the chain does not have. */
const PAUSE_MS = 4_000;

/** Compares what was played with the list without the live layer, as the node reads it from the chain. */
export class Attestation {
  #segments;
  #changed;
  /** By quality: the content of what was played by number, and which numbers the chain has. */
  #lists = new Map();
  #timer = null;
  #contradicted = 0;

  /** `segments` is the address of the node's route for segments. */
  constructor(segments, changed, options = {}) {
    this.#segments = segments;
    this.#changed = changed;
    this.pauseMs = options.pauseMs ?? PAUSE_MS;
  }

  /** A segment of a list was played. */
  played(quality, number, id) {
    if (!this.#lists.has(quality)) this.#lists.set(quality, { waiting: new Map(), attested: new Set() });
    const { waiting, attested } = this.#lists.get(quality);
    if (attested.has(number) || waiting.has(number)) return;
    waiting.set(number, id);
    this.#timer ??= setTimeout(() => this.#ask(), 0);
  }

  /** For people. */
  summary(network) {
    let attested = 0;
    let waiting = 0;
    for (const list of this.#lists.values()) {
      attested += list.attested.size;
      waiting += list.waiting.size;
    }
    if (this.#contradicted > 0) return `${network} names other content for ${this.#contradicted} of them`;
    if (attested + waiting === 0) return `${network}: nothing to compare yet`;
    if (waiting === 0) return `${network} names all ${attested} of them`;
    return `${network} names ${attested} of ${attested + waiting}, the live layer announced the others`;
  }

  async #ask() {
    for (const [quality, list] of this.#lists) {
      if (list.waiting.size > 0) await this.#compare(quality, list).catch(() => {});
    }
    this.#changed();
    const waiting = [...this.#lists.values()].some((list) => list.waiting.size > 0);
    this.#timer = waiting ? setTimeout(() => this.#ask(), this.pauseMs) : null;
  }

  async #compare(quality, { waiting, attested }) {
    const from = Math.min(...waiting.keys());
    const url = `${this.#segments}?l1only=1&quality=${quality}&from=${from}`;
    const response = await fetch(url);
    if (!response.ok) return;
    for (const { number, content } of (await response.json()).segments) {
      const played = waiting.get(number);
      if (played === undefined) continue;
      waiting.delete(number);
      if (played === content) attested.add(number);
      else this.#contradicted += 1;
    }
  }
}
