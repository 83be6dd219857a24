// Lets one unmodified client do one piece of work. The job comes as JSON on standard input, the answer goes as JSON to
// standard output.
// usage: node main.mjs CLIENT WORK < JOB
import { text } from 'node:stream/consumers'

const [client, work] = process.argv.slice(2)
const clients = {
  dhive: () => import('./dhive.mjs'),
  'hive-tx': () => import('./hive-tx.mjs'),
  wax: () => import('./wax.mjs'),
}
const { [work]: run } = await clients[client]()
const answer = await run(JSON.parse(await text(process.stdin)))
// wax keeps threads of its own alive, so the end has to be said; the answer must be out by then.
process.stdout.write(JSON.stringify(answer), () => process.exit(0))
