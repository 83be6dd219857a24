// What hls.js loads segments with: every byte is checked before the player has it.

/** The content id in the address of a segment; nothing when it has none, as with content of Skynet. */
export function contentIdOf(url) {
  return /\/ipfs\/([0-9A-Za-z]+)$/.exec(new URL(url).pathname)?.[1] ?? null;
}

/**
 * A loader of segments and their parts for the setting `fLoader` of hls.js, over `Gateways`. `told` is called with each
 * that was loaded: `{ frag, part, id, base, size }`, without `id` where nothing could be checked, and with `part` where it
 * is not all of the segment.
 */
export function verifyingLoader(gateways, told) {
  return class VerifyingLoader {
    #controller = new AbortController();
    #timer;

    constructor() {
      this.context = null;
      const times = () => ({ start: 0, first: 0, end: 0 });
      this.stats = { aborted: false, loaded: 0, retry: 0, total: 0, chunkCount: 0, bwEstimate: 0 };
      Object.assign(this.stats, { loading: times(), parsing: times(), buffering: times() });
    }

    load(context, config, callbacks) {
      const { stats } = this;
      this.context = context;
      stats.loading.start = performance.now();
      const { maxLoadTimeMs = config.timeout } = config.loadPolicy ?? {};
      this.#timer = setTimeout(() => {
        this.#stop();
        callbacks.onTimeout(stats, context, null);
      }, maxLoadTimeMs);
      const progress = (loaded) => {
        stats.loading.first ||= performance.now();
        stats.loaded = loaded;
        stats.chunkCount += 1;
      };
      this.#file(context.url, progress).then(
        ({ bytes, id, base }) => {
          if (this.#over()) return;
          const now = performance.now();
          stats.loading.first ||= now;
          stats.loading.end = now;
          stats.loaded = stats.total = bytes.length;
          told({ frag: context.frag, part: context.part ?? null, id, base, size: bytes.length });
          const { rangeStart = 0, rangeEnd } = context;
          const wanted = rangeEnd ? bytes.subarray(rangeStart, rangeEnd) : bytes;
          callbacks.onSuccess({ url: context.url, data: ownBuffer(wanted), code: 200 }, stats, context, null);
        },
        (why) => {
          if (this.#over()) return;
          callbacks.onError({ code: 0, text: why.message }, context, null, stats);
        },
      );
    }

    abort() {
      if (this.#controller.signal.aborted || this.stats.loading.end) return;
      this.stats.aborted = true;
      this.#stop();
    }

    destroy() {
      this.#stop();
      this.context = null;
    }

    getCacheAge() {
      return null;
    }

    getResponseHeader() {
      return null;
    }

    async #file(url, progress) {
      const { signal } = this.#controller;
      const id = contentIdOf(url);
      if (id) return { id, ...(await gateways.file(id, { signal, progress })) };
      const response = await fetch(url, { signal, credentials: "omit", referrerPolicy: "no-referrer" });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return { id: null, base: new URL(url).origin, bytes: new Uint8Array(await response.arrayBuffer()) };
    }

    #stop() {
      clearTimeout(this.#timer);
      this.#controller.abort();
    }

    /** Whether it ended otherwise already; it has ended now. */
    #over() {
      const over = this.#controller.signal.aborted;
      clearTimeout(this.#timer);
      return over;
    }
  };
}

/** A buffer of nothing but these bytes, which may be given away. */
function ownBuffer(bytes) {
  if (bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength) return bytes.buffer;
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}
