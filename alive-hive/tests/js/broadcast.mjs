// Broadcasts with an unmodified client and prints the ids of its transactions, one JSON text per line.
// usage: node broadcast.mjs CLIENT URL CHAIN_ID ACCOUNT PASSWORD CUSTOM_JSON_ID PAYLOAD...
import assert from 'node:assert/strict'
import dhive from '@hiveio/dhive'
import * as hiveTx from 'hive-tx'

const [client, url, chainId, account, password, customJsonId, ...payloads] = process.argv.slice(2)

const operation = (json) => ({
  required_auths: [],
  required_posting_auths: [account],
  id: customJsonId,
  json,
})

const say = (value) => console.log(JSON.stringify({ client, ...value }))

async function withDhive() {
  const node = new dhive.Client(url, { chainId, addressPrefix: 'STM' })
  const key = dhive.PrivateKey.fromLogin(account, password, 'posting')
  for (const json of payloads) {
    const { id } = await node.broadcast.json(operation(json), key)
    say({ id })
  }

  const [found] = await node.database.getAccounts([account])
  assert.equal(found.name, account)
  assert.equal(found.posting.key_auths[0][0], key.createPublic('STM').toString())

  const post = {
    parent_author: '',
    parent_permlink: 'alive',
    author: account,
    permlink: 'a-stream',
    title: 'A stream',
    body: 'It is live.',
    json_metadata: '{}',
  }
  const options = {
    author: account,
    permlink: 'a-stream',
    max_accepted_payout: '1000000.000 HBD',
    percent_hbd: 10000,
    allow_votes: true,
    allow_curation_rewards: true,
    extensions: [[0, { beneficiaries: [{ account: 'bob', weight: 300 }] }]],
  }
  const posted = await node.broadcast.commentWithOptions(post, options, key)
  say({ id: posted.id })

  const head = (await node.database.getDynamicGlobalProperties()).head_block_number
  const block = await node.database.getBlock(head)
  assert.equal(block.block_id.slice(0, 8), head.toString(16).padStart(8, '0'))
  const config = await node.database.getConfig()
  assert.equal(config.HIVE_CHAIN_ID, chainId)

  const wrong = dhive.PrivateKey.fromLogin(account, password, 'memo')
  await assert.rejects(node.broadcast.json(operation('{}'), wrong), (error) => {
    assert.match(error.message, /missing required posting authority|Missing Posting Authority/)
    assert.equal(error.jse_info.code, 3030000)
    return true
  })
}

async function withHiveTx() {
  hiveTx.config.nodes = [url]
  hiveTx.config.chain_id = chainId
  const key = hiveTx.PrivateKey.fromLogin(account, password, 'posting')
  for (const json of payloads) {
    const transaction = new hiveTx.Transaction()
    await transaction.addOperation('custom_json', operation(json))
    transaction.sign(key)
    // Waits until the transaction is irreversible.
    const { tx_id: id, status } = await transaction.broadcast(true)
    assert.equal(status, 'within_irreversible_block')
    say({ id })

    // The same bytes again are a success for this client.
    const again = await transaction.broadcast()
    assert.equal(again.tx_id, id)
  }

  const wrong = new hiveTx.Transaction()
  await wrong.addOperation('custom_json', operation('{}'))
  wrong.sign(hiveTx.PrivateKey.fromLogin(account, password, 'memo'))
  await assert.rejects(wrong.broadcast(), (error) => {
    assert.match(error.message, /missing required posting authority/)
    return true
  })
}

await { dhive: withDhive, 'hive-tx': withHiveTx }[client]()
