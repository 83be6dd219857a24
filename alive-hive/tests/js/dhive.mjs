// @hiveio/dhive
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
import dhive from '@hiveio/dhive'
import { comment, commentOptions, customJson } from './job.mjs'
import { nanoseconds } from './measure.mjs'
import { untilInBlocks } from './watch.mjs'

const { Client, PrivateKey, PublicKey, Signature, cryptoUtils } = dhive

const connect = ({ url, chainId, prefix }) => new Client(url, { chainId, addressPrefix: prefix })

/// Broadcasts the payloads of a stream and a post, then looks at all of it.
export async function stream(job) {
  const node = connect(job)
  const key = PrivateKey.fromLogin(job.account, job.password, 'posting')
  const before = await node.database.getDynamicGlobalProperties()
  const ids = []
  for (const json of job.payloads) {
    ids.push((await node.broadcast.json(customJson(job, json), key)).id)
  }
  const posted = await node.broadcast.commentWithOptions(comment(job), commentOptions(job), key)
  ids.push(posted.id)

  const seen = await untilInBlocks(before.head_block_number, ids, async (num) => {
    const block = await node.database.getBlock(num)
    if (block === null) return null
    return block.transactions.map(({ transaction_id: id, operations }) => ({ id, operations }))
  })
  const [account] = await node.database.getAccounts([job.account])
  const config = await node.database.getConfig()
  const head = await node.database.getDynamicGlobalProperties()
  const header = await node.database.getBlockHeader(seen[0].block)
  const { witness } = await node.database.getBlock(seen[0].block)
  const status = await node.transaction.findTransaction(posted.id)
  const ops = await node.database.getOperations(seen[0].block)
  const first = await node.database.getTransaction(ids[0])
  const [content, none] = await Promise.all(
    [job.post.permlink, 'another'].map((permlink) =>
      node.database.call('get_content', [job.account, permlink]),
    ),
  )
  const { accounts } = await node.keys.getKeyReferences([key.createPublic(job.prefix)])
  const mana = await node.rc.getRCMana(job.account)
  return {
    ids,
    seen,
    post: content,
    nothing: none.author === '',
    sameAccount: isDeepStrictEqual(accounts, [[job.account]]),
    mana: mana.current_mana,
    account: { name: account.name, key: account.posting.key_auths[0][0] },
    expectedKey: key.createPublic(job.prefix).toString(),
    chainId: config.HIVE_CHAIN_ID,
    head: head.head_block_number,
    sameWitness: header.witness === witness,
    sameOperation: isDeepStrictEqual(
      [ops[0].trx_id, ops[0].op, first.operations[0]],
      [ids[0], seen[0].operations[0], seen[0].operations[0]],
    ),
    verified: (await verified(node, job, key)) && (await node.database.verifyAuthority(first)),
    status: status.status,
  }
}

/// Whether the node finds a signature of this key good.
async function verified(node, { account }, key) {
  const hash = cryptoUtils.sha256('some text')
  const signature = key.sign(hash).toString()
  const params = {
    hash: hash.toString('hex'),
    signatures: [signature],
    required_owner: [],
    required_active: [],
    required_posting: [account],
    required_witness: [],
    required_other: [],
  }
  return (await node.call('database_api', 'verify_signatures', params)).valid
}

/// Broadcasts with a key that may not.
export async function refused(job) {
  const node = connect(job)
  // Its own way to send gives no id when it fails, so its parts are called one by one.
  const { head_block_number: number, head_block_id: block, time } =
    await node.database.getDynamicGlobalProperties()
  const unsigned = {
    ref_block_num: number & 0xffff,
    ref_block_prefix: Buffer.from(block, 'hex').readUInt32LE(4),
    expiration: new Date(Date.parse(`${time}Z`) + 60_000).toISOString().slice(0, -5),
    operations: [['custom_json', customJson(job, job.payloads[0])]],
    extensions: [],
  }
  const transaction = node.broadcast.sign(unsigned, PrivateKey.fromString(job.wif))
  const id = cryptoUtils.generateTrxId(transaction)
  const valid = await node.database.verifyAuthority(transaction).catch(() => false)
  assert.equal(valid, false)
  try {
    await node.broadcast.send(transaction)
    return { id }
  } catch ({ message, jse_info: info }) {
    return { id, message, code: info?.code, name: info?.name }
  }
}

/// What the client makes of our transactions and keys, and its own signatures of them.
export function check({ cases, chainId, prefix }) {
  const chain = Buffer.from(chainId, 'hex')
  return cases.map(({ legacy, wif, hex, login: [account, role, password] }) => {
    const { signatures, ...transaction } = legacy
    const digest = cryptoUtils.transactionDigest(transaction, chain)
    const key = PrivateKey.fromString(wif)
    const found = signatures.map((text) => Signature.fromString(text))
    const keys = found.map((signature) => signature.recover(digest, prefix))
    return {
      id: cryptoUtils.generateTrxId(transaction),
      digest: digest.toString('hex'),
      keys: keys.map((key) => key.toString()),
      verified: keys.every((key, i) => key.verify(digest, found[i])),
      signature: key.sign(digest).toString(),
      wif: new PrivateKey(Buffer.from(hex, 'hex')).toString(),
      public: PublicKey.fromString(key.createPublic(prefix).toString()).toString(),
      login: PrivateKey.fromLogin(account, password, role).toString(),
    }
  })
}

/// How long signing, recovering and serialising take.
export function bench({ samples, wif, ...rounds }) {
  const key = PrivateKey.fromString(wif)
  const all = samples.map(({ legacy, digest, signature }) => ({
    digest: Buffer.from(digest, 'hex'),
    signature: Signature.fromString(signature),
    transaction: legacy,
  }))
  return {
    // Without a compiler the package falls back to its own JavaScript.
    version: isNative() ? 'native' : 'JavaScript',
    sign: nanoseconds(all, rounds, ({ digest }) => key.sign(digest)),
    recover: nanoseconds(all, rounds, ({ digest, signature }) => signature.recover(digest)),
    id: nanoseconds(all, rounds, ({ transaction }) => cryptoUtils.generateTrxId(transaction)),
  }
}

function isNative() {
  try {
    createRequire(import.meta.url)('secp256k1/bindings')
    return true
  } catch {
    return false
  }
}
