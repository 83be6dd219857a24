// hive-tx. It signs for the main chain only: it reads the chain's id once, while it is loaded.
import assert from 'node:assert/strict'
import { PrivateKey, PublicKey, Signature, Transaction, callRPC, config } from 'hive-tx'
import { comment, commentOptions, customJson } from './job.mjs'
import { nanoseconds } from './measure.mjs'
import { ofBlockApi, untilInBlocks } from './watch.mjs'

const toHex = (bytes) => Buffer.from(bytes).toString('hex')

function connect({ url, chainId }) {
  config.nodes = [url]
  assert.equal(chainId, config.chain_id)
}

async function signed(key, ...operations) {
  const transaction = new Transaction()
  for (const [name, body] of operations) await transaction.addOperation(name, body)
  transaction.sign(key)
  return transaction
}

/// Broadcasts the payloads of a stream and a post, then looks at all of it.
export async function stream(job) {
  connect(job)
  const key = PrivateKey.fromLogin(job.account, job.password, 'posting')
  const before = await callRPC('condenser_api.get_dynamic_global_properties', [])
  const ids = []
  for (const json of job.payloads) {
    const transaction = await signed(key, ['custom_json', customJson(job, json)])
    const { tx_id: id } = await transaction.broadcast()
    ids.push(id)
    // The same bytes again are a success for this client, by the text of the node's refusal.
    assert.equal((await transaction.broadcast()).tx_id, id)
  }
  const operations = [['comment', comment(job)], ['comment_options', commentOptions(job)]]
  // Waits until the transaction is irreversible.
  const posted = await (await signed(key, ...operations)).broadcast(true)
  ids.push(posted.tx_id)

  const seen = await untilInBlocks(before.head_block_number, ids, async (num) => {
    const range = { starting_block_num: num, count: 1 }
    const { blocks } = await callRPC('block_api.get_block_range', range)
    return blocks.length === 0 ? null : ofBlockApi(blocks[0])
  })
  const [account] = await callRPC('condenser_api.get_accounts', [[job.account]])
  const { HIVE_CHAIN_ID: chain } = await callRPC('condenser_api.get_config', [])
  const head = await callRPC('condenser_api.get_dynamic_global_properties', [])
  const content = (permlink) => callRPC('condenser_api.get_content', [job.account, permlink])
  return {
    ids,
    seen,
    post: await content(job.post.permlink),
    nothing: (await content('another')).author === '',
    account: { name: account.name, key: account.posting.key_auths[0][0] },
    expectedKey: key.createPublic(job.prefix).toString(),
    chainId: chain,
    head: head.head_block_number,
    status: posted.status,
  }
}

/// Broadcasts with a key that may not.
export async function refused(job) {
  connect(job)
  const key = PrivateKey.fromString(job.wif)
  const transaction = await signed(key, ['custom_json', customJson(job, job.payloads[0])])
  const { txId: id } = transaction.digest()
  try {
    await transaction.broadcast()
    return { id }
  } catch ({ message, data }) {
    return { id, message, code: data?.code, name: data?.name }
  }
}

/// What the client makes of our transactions and keys, and its own signatures of them.
export function check({ cases, chainId, prefix }) {
  assert.equal(chainId, config.chain_id)
  return cases.map(({ legacy, wif, hex, login: [account, role, password] }) => {
    const { digest, txId: id } = new Transaction({ transaction: legacy }).digest()
    const key = PrivateKey.fromString(wif)
    const keys = legacy.signatures.map((text) => Signature.from(text).getPublicKey(digest))
    return {
      id,
      digest: toHex(digest),
      keys: keys.map((key) => key.toString()),
      verified: keys.every((key, i) => key.verify(digest, legacy.signatures[i])),
      signature: key.sign(digest).customToString(),
      wif: new PrivateKey(Buffer.from(hex, 'hex')).toString(),
      public: PublicKey.fromString(key.createPublic(prefix).toString()).toString(),
      login: PrivateKey.fromLogin(account, password, role).toString(),
    }
  })
}

/// How long signing, recovering and serialising take; the last one gives the digest, too.
export function bench({ samples, wif, ...rounds }) {
  const key = PrivateKey.fromString(wif)
  const all = samples.map(({ legacy, digest, signature }) => ({
    digest: Buffer.from(digest, 'hex'),
    signature: Signature.from(signature),
    transaction: new Transaction({ transaction: legacy }),
  }))
  return {
    version: 'JavaScript',
    sign: nanoseconds(all, rounds, ({ digest }) => key.sign(digest)),
    recover: nanoseconds(all, rounds, ({ digest, signature }) => signature.getPublicKey(digest)),
    id: nanoseconds(all, rounds, ({ transaction }) => transaction.digest()),
  }
}
