// Reads blocks until some transactions are in them, all through the client whose functions are given.

const DEADLINE_MS = 60_000
const PAUSE_MS = 50

/// Reads block after block from `from` on. `readBlock(num)` gives the block's transactions as `[{ id, operations }]`
/// with operations as `[name, body]`, or null where there is no such block yet. Gives what the wanted transactions hold.
export async function untilInBlocks(from, ids, readBlock) {
  const missing = new Set(ids)
  const seen = []
  const end = Date.now() + DEADLINE_MS
  for (let num = from; missing.size > 0; ) {
    const transactions = await readBlock(num)
    if (transactions === null) {
      if (Date.now() > end) throw new Error(`not in a block: ${[...missing]}`)
      await new Promise((done) => setTimeout(done, PAUSE_MS))
      continue
    }
    for (const { id, operations } of transactions) {
      if (missing.delete(id)) seen.push({ id, block: num, operations })
    }
    num += 1
  }
  return seen
}

/// The transactions of an answer of `block_api`.
export function ofBlockApi({ transaction_ids: ids, transactions }) {
  const plain = ({ type, value }) => [type.replace(/_operation$/, ''), value]
  return transactions.map(({ operations }, i) => ({ id: ids[i], operations: operations.map(plain) }))
}
