// Unmodified SEA, and users of an unmodified GUN client, that do what the lines of the input say, each a JSON object with
// an id, and answer each with a line. Argument: the folder of its files.
import { createRequire } from 'node:module';
import readline from 'node:readline';

// GUN greets on the console.
console.log = (...args) => console.error(...args);
const require = createRequire(import.meta.url);
const Gun = require('gun');
require('gun/sea');
const { SEA } = Gun;

const [folder] = process.argv.slice(2);
const answer = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const plain = (value) => {
  if (value === null || typeof value !== 'object') return value;
  const { _, ...rest } = value;
  return rest;
};
/** Nothing, as JSON has it. */
const or = (value) => ({ value: value === undefined ? null : value });

let gun;
const work = {
  certify: async ({ who, policy, pair }) => or(await SEA.certify(who, policy, pair)),
  // GUN's own way to set its clock: states are the system's time and this.
  clock: ({ ahead }) => {
    Gun.state.drift = ahead;
    return {};
  },
  connect: ({ url }) => {
    const options = { peers: [url], file: folder, radisk: false, localStorage: false };
    gun = Gun({ ...options, multicast: false, axe: false, stats: false });
    return {};
  },
  decrypt: async ({ data, key }) => or(await SEA.decrypt(data, key)),
  encrypt: async ({ data, key }) => or(await SEA.encrypt(data, key, null, { raw: true })),
  hash: async ({ text }) => or(await SEA.work(text, null, null, { name: 'SHA-256' })),
  pair: async () => or(await SEA.pair()),
  secret: async ({ epub, pair }) => or(await SEA.secret(epub, pair)),
  // As text, for the order of keys.
  sign: async ({ json, pair }) => or(await SEA.sign(JSON.parse(json), pair)),
  verify: async ({ signed, pub }) => or(await SEA.verify(signed, pub)),
  work: async ({ password, salt }) => or(await SEA.work(password, salt)),

  // Users. Each process has at most one.
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
  // As AliveDB pushes a segment.
  push: ({ list, value }) =>
    new Promise((done) => gun.user().get(list).set(value, ({ ok, err }) => done({ ok: ok ?? null, err: err ?? null }))),
  // Several, without waiting for one before the next.
  pushes: async ({ list, values }) => ({
    errs: (await Promise.all(values.map((value) => work.push({ list, value })))).map(({ err }) => err),
  }),
  put: ({ soul, value, certificate }) =>
    new Promise((done) => {
      const told = ({ ok, err }) => done({ ok: ok ?? null, err: err ?? null });
      const [root, ...path] = soul;
      path.reduce((node, key) => node.get(key), gun.get(root)).put(value, told, certificate ? { opt: { cert: certificate } } : {});
    }),
  // Everything that a list links to, as AliveDB reads it.
  list: ({ pub, list }) =>
    new Promise((done) => {
      const items = {};
      gun.get('~' + pub).get(list).map().once((value, key) => { items[key] = plain(value); });
      setTimeout(() => done({ value: Object.values(items) }), 300);
    }),
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, call, ...job } = JSON.parse(line);
  try {
    answer({ id, ...(await work[call](job)) });
  } catch (error) {
    answer({ id, thrown: String(error) });
  }
}).on('close', () => process.exit(0));
