// Which of the played segments each chain names, and which only the live layer announced so far.

/** The wait between asking, while there are segments that no chain has. */
const PAUSE_MS = 4_000;
/** The wait while chains have all of them, but not every chain, or not for good. */
const LATER_MS = 20_000;
/** How often that is asked for once nothing more is played. */
const LATER_TIMES = 15;
/** How many segments are asked for again; of more, those played last. */
const KEPT_OPEN = 300;

/** Compares what was played with the list without the live layer, as the node reads it from the chains. */
export class Attestation {
  #segments;
  #changed;
  /** By quality: what was played by number, with its content and the chains that name it. */
  #lists = new Map();
  /** The chains that named anything. */
  #networks = new Set();
  /** The chains that have the stream, whether they name anything or not. */
  #expected = [];
  #timer = null;
  #later = 0;

  /** `segments` is the address of the node's route for segments. */
  constructor(segments, changed, options = {}) {
    this.#segments = segments;
    this.#changed = changed;
    this.pauseMs = options.pauseMs ?? PAUSE_MS;
    this.laterMs = options.laterMs ?? LATER_MS;
  }

  /** A segment of a list was played. */
  played(quality, number, id) {
    if (!this.#lists.has(quality)) this.#lists.set(quality, { played: new Map(), open: new Set() });
    const { played, open } = this.#lists.get(quality);
    if (played.has(number)) return;
    played.set(number, { id, chains: new Map(), other: false });
    open.add(number);
    // What was played long ago is final, or stays as it is.
    for (const old of open) {
      if (open.size <= KEPT_OPEN) break;
      open.delete(old);
    }
    this.#later = 0;
    this.#wake(0);
  }

  /** The chains on which the stream has a name: one that names nothing of what was played is told of, too. */
  expect(networks) {
    if (networks.join() === this.#expected.join()) return;
    this.#expected = networks;
    this.#changed();
  }

  /**
   * What each chain says, that of the stream's own `network` first: how many of the played segments it names, and how many
   * of these by a block that a fork could still take back.
   */
  chains(network) {
    const none = (name) => [name, { network: name, named: 0, reversible: 0 }];
    const chains = new Map([network, ...this.#expected].map(none));
    for (const { chains: named } of this.#all()) {
      for (const [name, irreversible] of named) {
        if (!chains.has(name)) chains.set(...none(name));
        const chain = chains.get(name);
        chain.named += 1;
        if (!irreversible) chain.reversible += 1;
      }
    }
    return [...chains.values()];
  }

  /** For people: what the chains say. */
  summary(network) {
    const all = this.#all();
    const other = all.filter((segment) => segment.other).length;
    if (other > 0) return `${network} names other content for ${other} of them`;
    if (!all.some(({ asked }) => asked)) return `${network}: nothing to compare yet`;
    const unnamed = all.filter(({ chains }) => chains.size === 0).length;
    const told = this.chains(network).map(({ network: name, named, reversible }) => {
      const some = named === 0 && name !== network ? "none of them" : `${named} of ${all.length}`;
      const count = named === all.length ? `all ${named} of them` : some;
      return `${name} names ${count}${reversible > 0 ? `, ${reversible} not yet for good` : ""}`;
    });
    return told.join("; ") + (unnamed > 0 ? ", the live layer announced the others" : "");
  }

  /** For a badge: `attested by hive, avalon`; nothing before a chain names anything. */
  byline(network) {
    const count = this.#all().length;
    const naming = this.chains(network).filter(({ named }) => named > 0);
    if (naming.length === 0) return "";
    const names = naming.map(({ network: name }) => name).join(", ");
    return `${naming.some(({ named }) => named === count) ? "attested" : "partly attested"} by ${names}`;
  }

  #all() {
    return [...this.#lists.values()].flatMap(({ played }) => [...played.values()]);
  }

  #wake(ms) {
    if (this.#timer !== null && ms > 0) return;
    clearTimeout(this.#timer ?? undefined);
    this.#timer = setTimeout(() => this.#ask(), ms);
  }

  async #ask() {
    for (const [quality, list] of this.#lists) {
      if (list.open.size > 0) await this.#compare(quality, list).catch(() => {});
    }
    this.#timer = null;
    this.#changed();
    const open = [...this.#lists.values()].flatMap(({ played, open: numbers }) => [...numbers].map((n) => played.get(n)));
    if (open.some(({ chains }) => chains.size === 0)) return this.#wake(this.pauseMs);
    if (open.length > 0 && this.#later < LATER_TIMES) {
      this.#later += 1;
      this.#wake(this.laterMs);
    }
  }

  async #compare(quality, { played, open }) {
    const from = Math.min(...open);
    const response = await fetch(`${this.#segments}?l1only=1&quality=${quality}&from=${from}`);
    if (!response.ok) return;
    const { segments } = await response.json();
    for (const { attestations } of segments) for (const { network } of attestations) this.#networks.add(network);
    for (const { number, content, attestations } of segments) {
      const segment = open.has(number) ? played.get(number) : undefined;
      if (!segment) continue;
      if (segment.id !== content) {
        segment.other = true;
        open.delete(number);
        continue;
      }
      // What a fork took back is named no more.
      segment.chains = new Map(attestations.map(({ network, irreversible }) => [network, irreversible]));
      const final = attestations.length === this.#networks.size && attestations.every(({ irreversible }) => irreversible);
      if (final) open.delete(number);
    }
    for (const segment of played.values()) segment.asked = true;
  }
}
