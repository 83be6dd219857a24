// An unmodified GUN client with SEA in a browser, that does what the messages of a WebSocket say, each a JSON object with
// an id, and answers each with another. The page's address has its port as `control`, and the relay's URL as `relay`.
/* global Gun, SEA */
const place = new URLSearchParams(location.search);
const gun = Gun({ peers: [place.get('relay')], localStorage: false });
const control = new WebSocket(`ws://127.0.0.1:${place.get('control')}/`);
const answer = (line) => control.send(JSON.stringify(line));

const plain = (value) => {
  if (value === null || typeof value !== 'object') return value;
  const { _, ...rest } = value;
  return rest;
};
const at = (path) => path.reduce((node, key) => node.get(key), gun);
/** What each subscription has seen, by its path. */
const seen = new Map();

const work = {
  auth: ({ alias, password, change }) =>
    new Promise((done) => {
      const told = ({ err, sea }) => done({ err: err ?? null, pair: sea ?? null });
      gun.user().auth(alias, password, told, change ? { change } : {});
    }),
  create: ({ alias, password }) =>
    new Promise((done) => gun.user().create(alias, password, ({ err, pub }) => done({ err: err ?? null, pub }))),
  leave: () => {
    gun.user().leave();
    return {};
  },
  // Everything that a list of a user links to, as it comes: subscribed, not asked for.
  follow: ({ pub, list }) => {
    const items = {};
    seen.set(list, items);
    gun.get('~' + pub).get(list).map().on((value, key) => { items[key] = plain(value); });
    return {};
  },
  on: ({ path }) => {
    const values = {};
    seen.set(path.join('/'), values);
    at(path).on((value, key) => { values[key] = plain(value); });
    return {};
  },
  // As AliveDB pushes a segment.
  push: ({ list, value }) =>
    new Promise((done) => gun.user().get(list).set(value, ({ ok, err }) => done({ ok: ok ?? null, err: err ?? null }))),
  put: ({ path, value }) =>
    new Promise((done) => at(path).put(value, ({ ok, err }) => done({ ok: ok ?? null, err: err ?? null }))),
  seen: ({ of }) => ({ value: seen.get(of) ?? null }),
  // In the order of its keys, which a browser keeps.
  sign: async ({ json, pair }) => ({ value: await SEA.sign(JSON.parse(json), pair) }),
  verify: async ({ signed, pub }) => ({ value: (await SEA.verify(signed, pub)) ?? null }),
};

control.onmessage = async ({ data }) => {
  const { id, call, ...job } = JSON.parse(data);
  try {
    answer({ id, ...(await work[call](job)) });
  } catch (error) {
    answer({ id, thrown: String(error) });
  }
};
