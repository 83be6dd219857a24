// @hiveio/wax, which is hived's own protocol code, with @hiveio/beekeeper, hived's own key keeper.
import { isDeepStrictEqual } from 'node:util'
import createBeekeeper from '@hiveio/beekeeper'
import {
  BlogPostOperation,
  EManabarType,
  createHiveChain,
  createWaxFoundation,
} from '@hiveio/wax'
import { customJson } from './job.mjs'
import { nanoseconds } from './measure.mjs'
import { ofBlockApi, untilInBlocks } from './watch.mjs'

/// The calls of a node that wax itself does not describe.
const MORE_CALLS = {
  block_api: { get_block: {}, get_block_range: {} },
  database_api: { find_comments: {}, get_config: {}, get_version: {} },
  transaction_status_api: { find_transaction: {} },
}

/// Whether the node finds the authority of a signed transaction good.
async function verified({ api }, transaction) {
  try {
    const trx = transaction.toApiJson()
    return (await api.database_api.verify_authority({ trx, pack: 'hf26' })).valid
  } catch {
    return false
  }
}

async function wallet() {
  const beekeeper = await createBeekeeper({ inMemory: true, enableLogs: false })
  return (await beekeeper.createSession('salt').createWallet('keys', 'password', true)).wallet
}

const connect = ({ url, chainId }) => createHiveChain({ apiEndpoint: url, chainId })

/// Broadcasts the payloads of a stream and a post, then looks at all of it.
export async function stream(job) {
  const chain = (await connect(job)).extend(MORE_CALLS)
  const { api } = chain
  const keys = await wallet()
  const login = chain.getPrivateKeyFromPassword(job.account, 'posting', job.password)
  const key = await keys.importKey(login.wifPrivateKey)
  const before = await api.database_api.get_dynamic_global_properties({})
  const { post } = job
  const article = new BlogPostOperation({
    category: post.tag,
    author: job.account,
    title: post.title,
    body: post.body,
    permlink: post.permlink,
    tags: [post.tag],
    beneficiaries: post.beneficiaries,
    maxAcceptedPayout: chain.hbd(1_000_000),
    percentHbd: 5000,
    allowCurationRewards: false,
  })
  const ids = []
  const verdicts = []
  for (const operation of [
    ...job.payloads.map((json) => ({ custom_json_operation: customJson(job, json) })),
    article,
  ]) {
    const transaction = await chain.createTransaction()
    transaction.pushOperation(operation)
    transaction.validate()
    transaction.sign(keys, key)
    // Both ask the node for accounts: for leaked keys, and for who signed with what.
    await transaction.performOnChainVerification()
    const trace = await transaction.generateAuthorityVerificationTrace()
    verdicts.push(trace.verificationStatus.entryAccepted, await verified(chain, transaction))
    await chain.broadcast(transaction)
    ids.push(transaction.id)
  }

  const seen = await untilInBlocks(before.head_block_number, ids, async (num) => {
    const { block } = await api.block_api.get_block({ block_num: num })
    return block === undefined ? null : ofBlockApi(block)
  })
  const { accounts } = await api.database_api.find_accounts({ accounts: [job.account] })
  const { header } = await api.block_api.get_block_header({ block_num: seen[0].block })
  const { blocks } = await api.block_api.get_block_range({
    starting_block_num: seen[0].block,
    count: 1,
  })
  const config = await api.database_api.get_config({})
  const head = await api.database_api.get_dynamic_global_properties({})
  const { status } = await api.transaction_status_api.find_transaction({
    transaction_id: ids.at(-1),
  })
  const { comments } = await api.database_api.find_comments({
    comments: [post.permlink, 'another'].map((permlink) => [job.account, permlink]),
  })
  const references = await api.account_by_key_api.get_key_references({ keys: [key] })
  const mana = await chain.calculateCurrentManabarValueForAccount(job.account, EManabarType.RC)
  return {
    ids,
    seen,
    post: comments[0],
    nothing: comments.length === 1,
    sameAccount: isDeepStrictEqual(references.accounts, [[job.account]]),
    mana: Number(mana.current),
    account: { name: accounts[0].name, key: accounts[0].posting.key_auths[0][0] },
    expectedKey: key,
    chainId: config.HIVE_CHAIN_ID,
    head: head.head_block_number,
    sameWitness: header.witness === blocks[0].witness,
    verified: verdicts.every((verdict) => verdict),
    status,
  }
}

/// Broadcasts with a key that may not.
export async function refused(job) {
  const chain = await connect(job)
  const keys = await wallet()
  const key = await keys.importKey(job.wif)
  const transaction = await chain.createTransaction()
  transaction.pushOperation({ custom_json_operation: customJson(job, job.payloads[0]) })
  transaction.sign(keys, key)
  const { id } = transaction
  if (await verified(chain, transaction)) throw new Error('the node finds it good')
  try {
    await chain.broadcast(transaction)
    return { id }
  } catch ({ message, cause }) {
    const { code, name } = cause.response.response.error.data
    return { id, message, code, name }
  }
}

/// What the client makes of our transactions and keys, and its own signatures of them.
export async function check({ cases, chainId }) {
  const wax = await createWaxFoundation({ chainId })
  const keys = await wallet()
  const answers = []
  for (const { legacy, hf26, wif, hex, login } of cases) {
    const ofLegacy = wax.createTransactionFromLegacyJson(legacy)
    const ofHf26 = wax.createTransactionFromJson(hf26)
    const key = await keys.importKey(wif)
    const digest = ofLegacy.legacy_sigDigest
    answers.push({
      id: ofLegacy.legacy_id,
      digest,
      keys: ofLegacy.legacy_signatureKeys,
      signature: keys.signDigest(key, digest),
      wif: wax.convertRawPrivateKeyToWif(hex),
      public: wax.calculatePublicKey(wif),
      login: wax.getPrivateKeyFromPassword(...login).wifPrivateKey,
      hf26: {
        id: ofHf26.id,
        digest: ofHf26.sigDigest,
        keys: ofHf26.signatureKeys,
        legacyId: ofHf26.legacy_id,
        signature: keys.signDigest(key, ofHf26.sigDigest),
      },
      again: JSON.parse(ofHf26.toLegacyApi()),
    })
    await keys.removeKey(key)
  }
  return answers
}

/// How long signing, recovering and serialising take; signing is that of beekeeper.
export async function bench({ samples, wif, ...rounds }) {
  const wax = await createWaxFoundation()
  const keys = await wallet()
  const key = await keys.importKey(wif)
  const all = samples.map(({ hf26, digest, signature }) => ({
    digest,
    signature,
    transaction: wax.createTransactionFromJson(hf26),
  }))
  return {
    version: 'WebAssembly',
    sign: nanoseconds(all, rounds, ({ digest }) => keys.signDigest(key, digest)),
    recover: nanoseconds(all, rounds, ({ digest, signature }) =>
      wax.getPublicKeyFromSignature(digest, signature),
    ),
    id: nanoseconds(all, rounds, ({ transaction }) => transaction.id),
  }
}
