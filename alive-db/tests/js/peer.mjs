// An unmodified GUN peer that does what the lines of its input say, each a JSON object with an id, and answers each with a
// line. Arguments: `relay`, or `client` and the URL of a relay; then the folder of its files.
import http from 'node:http';
import { createRequire } from 'node:module';
import readline from 'node:readline';

// GUN greets on the console.
console.log = (...args) => console.error(...args);
const require = createRequire(import.meta.url);
const Gun = require('gun');
require('gun/sea');

const [kind, ...rest] = process.argv.slice(2);
const folder = rest.pop();
const answer = (line) => process.stdout.write(JSON.stringify(line) + '\n');

let gun;
if (kind === 'relay') {
  const server = http.createServer();
  gun = Gun({ web: server, file: folder, multicast: false, stats: false });
  server.listen(0, '127.0.0.1', () => answer({ port: server.address().port }));
} else {
  // As in a browser: a server's peer neither greets nor asks again after a broken connection.
  const options = { peers: rest, file: folder, radisk: false, localStorage: false };
  gun = Gun({ ...options, multicast: false, axe: false, stats: false, super: false });
  answer({ ready: true });
}

const at = (path) => path.reduce((node, key) => node.get(key), gun);
const plain = (value) => {
  if (value === null || typeof value !== 'object') return value;
  const { _, ...rest } = value;
  return rest;
};
/** What each subscription has seen, by its path. */
const seen = new Map();

const work = {
  // GUN's own way to set its clock: states are the system's time and this.
  clock: ({ ahead }, done) => {
    Gun.state.drift = ahead;
    done({});
  },
  put: ({ path, value }, done) => at(path).put(value, ({ ok, err }) => done({ ok: ok ?? null, err: err ?? null })),
  set: ({ path, value }, done) => at(path).set(value, ({ ok, err }) => done({ ok: ok ?? null, err: err ?? null })),
  once: ({ path }, done) => at(path).once((value) => done({ value: plain(value) ?? null })),
  on: ({ path }, done) => {
    const values = [];
    seen.set(path.join('/'), values);
    at(path).on((value) => values.push(plain(value)));
    done({});
  },
  map: ({ path }, done) => {
    const values = {};
    seen.set(path.join('/'), values);
    at(path).map().on((value, key) => { values[key] = plain(value); });
    done({});
  },
  seen: ({ path }, done) => done({ value: seen.get(path.join('/')) ?? null }),
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, call, ...job } = JSON.parse(line);
  let answered = false;
  work[call](job, (result) => {
    if (!answered) answer({ id, ...result });
    answered = true;
  });
}).on('close', () => process.exit(0));
