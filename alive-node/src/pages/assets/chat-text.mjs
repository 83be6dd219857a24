// Texts of a chat: what is signed, and how what strangers wrote is shown so that it can do nothing but be read.

/** Marks above and below one letter that are shown: more than any language stacks, too few to paint over other lines. */
const MAX_MARKS = 4;

const MARK = /[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/;

/** Characters that do something to the text around them, or are there without being seen. The same as in a terminal. */
const ACTS = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f" +
    // Soft hyphen, combining joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels, Mongolian separators.
    "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f" +
    // Zero width space, marks of direction, separators, embeddings and overrides; the joiners 200C and 200D stay.
    "\\u200b\\u200e\\u200f\\u2028-\\u202e" +
    // Invisible operators, isolates, fillers, byte order mark, annotations, tags.
    "\\u2060-\\u206f\\u2800\\u3164\\uffa0\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]",
  "u",
);

/** A text of which no character acts: those that would are shown as their number. */
export function safeText(text) {
  let marks = 0;
  let safe = "";
  for (const char of text) {
    marks = MARK.test(char) ? marks + 1 : 0;
    const hidden = ACTS.test(char) || marks > MAX_MARKS;
    safe += hidden ? `<${char.codePointAt(0).toString(16).toUpperCase()}>` : char;
  }
  return safe;
}

/** The exact text that is hashed and signed for a message. `path` is the stream, such as `hive/alice/stream1`. */
export function messageText({ u, n, t, m }, path) {
  return `${t}_${u}_${n}_${m}_${path}`;
}

/** The exact text that is hashed and signed for a request for access. */
export function requestText({ u, n, t }, path) {
  return `alivedb_chat_request_${t}_${u}_${n}_${path}`;
}

const ALIKE = { 0: "o", 1: "l", i: "l", j: "l", 5: "s", 2: "z", 8: "b", 9: "g", q: "g" };

/** What is left of a name when letters that look alike become one. */
export function skeleton(name) {
  const single = Array.from(name.replace(/[-._]/g, ""), (char) => ALIKE[char] ?? char).join("");
  return single.replaceAll("rn", "m").replaceAll("vv", "w").replaceAll("cl", "d");
}

/** Whether an account could be taken for another one: both are full names, such as `hive/alice`. */
export function resembles(account, known) {
  const name = (full) => full.slice(full.indexOf("/") + 1);
  return account !== known && skeleton(name(account)) === skeleton(name(known));
}
