// Lets unmodified javalon do one piece of work. The job comes as JSON on standard input, the answer goes as JSON to
// standard output.
// usage: node main.mjs WORK < JOB
import { text } from 'node:stream/consumers'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
// Packages talk as they are loaded; standard output is for the answer.
console.log = console.info = console.error
const javalon = require('javalon')
// What javalon itself signs and hashes with.
const javalonRequire = createRequire(require.resolve('javalon'))
const CryptoJS = javalonRequire('crypto-js')
const secp256k1 = javalonRequire('secp256k1')
const bs58 = javalonRequire('bs58')

const call = (method, ...args) =>
  new Promise((resolve) =>
    javalon[method](...args, (error, result) => resolve(error ? { error } : { result })),
  )

const works = {
  // JSON as this engine writes it.
  stringify: ({ texts }) =>
    texts.map((text) => {
      try {
        return JSON.stringify(JSON.parse(text))
      } catch {
        return null
      }
    }),

  // Signs what we signed, and tells whom our signatures are from.
  check: ({ cases }) =>
    cases.map(({ transaction, ours, key }) => {
      const signed = javalon.signMultisig([key], undefined, JSON.parse(transaction))
      const theirs = JSON.parse(ours)
      const { hash, signature } = theirs
      delete theirs.hash
      delete theirs.signature
      const computed = CryptoJS.SHA256(JSON.stringify(theirs)).toString()
      const digest = Buffer.from(computed, 'hex')
      const [[text, recid]] = signature
      const recovered = secp256k1.ecdsaRecover(bs58.decode(text), recid, digest)
      return {
        signed: JSON.stringify(signed),
        single: JSON.stringify(javalon.sign(key, 'alice', JSON.parse(transaction))),
        public: javalon.privToPub(key),
        hashFits: computed === hash,
        signer: bs58.encode(recovered),
      }
    }),

  // Nanoseconds that hashing and signing, and hashing and verifying a transaction take.
  bench: ({ transactions, key, millis }) => {
    const signed = transactions.map((tx) => JSON.parse(JSON.stringify(tx)))
    const sign = (tx) => {
      delete tx.hash
      delete tx.signature
      return javalon.signMultisig([key], undefined, tx)
    }
    const pub = bs58.decode(javalon.privToPub(key))
    const verify = (tx) => {
      const { hash, signature, ...body } = tx
      const computed = CryptoJS.SHA256(JSON.stringify(body)).toString()
      const ok = secp256k1.ecdsaVerify(bs58.decode(signature[0][0]), Buffer.from(computed, 'hex'), pub)
      if (!ok || computed !== hash) throw new Error('a signature that does not fit')
    }
    const each = (work) => {
      // Once over all, so that the engine knows the code.
      signed.forEach(work)
      let count = 0
      const start = process.hrtime.bigint()
      do {
        work(signed[count++ % signed.length])
      } while (process.hrtime.bigint() - start < BigInt(millis) * 1_000_000n)
      return Number(process.hrtime.bigint() - start) / count
    }
    return { sign: each(sign), verify: each(verify) }
  },

  // Streams, posts and makes a key over a node, then reads all back.
  stream: async ({ node, account, key, streamKey, cid }) => {
    javalon.init({ api: [node] })
    const answers = []
    const send = async (method, signer, type, data) =>
      answers.push(await call(method, javalon.sign(signer, account, { type, data })))
    const { pub } = { pub: javalon.privToPub(streamKey) }
    await send('sendTransaction', key, 20, { id: 'stream', pub, types: [25, 26], weight: 1 })
    const live = { live: true, pub: 'a.b', l2: 'gundb', title: 'é漢😀 1.0', n: 1e21 }
    await send('sendTransaction', streamKey, 25, { link: 'show', json: live })
    await send('sendTransaction', streamKey, 26, { link: 'show', seq: [[0, `${cid},10.0`]] })
    const push = javalon.signMultisig([streamKey], account, {
      type: 26,
      data: { link: 'show', seq: [[1, cid]] },
    })
    answers.push(await call('sendTransaction', push))
    await send('sendTransaction', streamKey, 25, { link: 'show', json: { ...live, ended: true } })
    const post = { link: 'show', json: { title: 'Live' }, vt: 3, tag: 'alive' }
    await send('sendTransaction', key, 4, post)
    const refused = []
    const refuse = async (signer, type, data) =>
      refused.push(await call('sendRawTransaction', javalon.sign(signer, account, { type, data })))
    await refuse(streamKey, 4, post)
    await refuse(key, 27, { link: 'none', seq: [0] })
    await refuse(key, 26, { link: 'none', seq: [[0, 'a']] })
    refused.push(await call('sendRawTransaction', push))
    return {
      answers,
      refused,
      height: await call('getBlockchainHeight'),
      account: await call('getAccount', account),
      accounts: await call('getAccounts', [account, 'nobody']),
      content: await call('getContent', account, 'show'),
      history: await call('getAccountHistory', account, 0),
      schedule: await call('getSchedule'),
    }
  },
}

const work = works[process.argv[2]]
const answer = await work(JSON.parse(await text(process.stdin)))
process.stdout.write(JSON.stringify(answer), () => process.exit(0))
