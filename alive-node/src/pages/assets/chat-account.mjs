// Who the visitor is, and what he may do now. Pure: times go in, nothing is asked.

/** Readers take one message a second of an account, and five at once; a little less often is never too often. */
const PACE_MS = 1_050;
const BURST = 4;

/** A visitor who has signed in. */
export class Visitor {
  /** `approved`, `banned`, `unknown`, or `asked` once access was asked for. */
  standing = "unknown";
  slowMs = 0;
  #lastShown = -Infinity;
  #paidUntil = -Infinity;
  #waitUntil = -Infinity;

  /** `account` is the full name, such as `hive/alice`; `wallet` signs for it. */
  constructor(account, wallet, { isStreamer = false, keys = null } = {}) {
    this.account = account;
    this.wallet = wallet;
    this.isStreamer = isStreamer;
    this.keys = keys;
    [this.n, this.u] = account.split("/");
  }

  /** The node has told the standing. A request that was sent is not forgotten. */
  told(standing) {
    if (standing !== "unknown" || this.standing !== "asked") this.standing = standing;
  }

  /** A message of this account is shown, whoever sent it. */
  shown(t) {
    this.#lastShown = Math.max(this.#lastShown, t);
  }

  /** A message was sent now. */
  sent(now) {
    this.#paidUntil = Math.max(this.#paidUntil, now) + PACE_MS;
    this.#lastShown = Math.max(this.#lastShown, now);
  }

  /** The node wants it to wait. */
  mustWait(ms, now) {
    this.#waitUntil = Math.max(this.#waitUntil, now + ms);
  }

  /** How many milliseconds it has to wait before it may say something. */
  wait(now) {
    const slow = this.isStreamer ? -Infinity : this.#lastShown + this.slowMs;
    return Math.max(0, slow - now, this.#paidUntil - PACE_MS * BURST - now, this.#waitUntil - now);
  }
}

/** What the page shows of a visitor, null is one who only reads: words for people, and which controls there are. */
export function faceOf(visitor, now) {
  if (visitor === null) return { note: "", mayWrite: false, mayAsk: false };
  switch (visitor.standing) {
    case "approved": {
      const seconds = Math.ceil(visitor.wait(now) / 1000);
      const slow = visitor.slowMs > 0 ? "Slow mode: " : "";
      return { note: seconds > 0 ? `${slow}${seconds} s to wait` : "", mayWrite: true, mayAsk: false, mustWait: seconds > 0 };
    }
    case "banned":
      return { note: "You are banned from this chat.", mayWrite: false, mayAsk: false };
    case "asked":
      return { note: "The streamer has been asked. You can write once you are let in.", mayWrite: false, mayAsk: false };
    default:
      return { note: "The streamer lets people in: ask for access.", mayWrite: false, mayAsk: true };
  }
}
