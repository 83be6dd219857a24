// Signs and checks texts of the chat as others do. The job comes as JSON on standard input, the answer goes as JSON to
// standard output.
// usage: node main.mjs WORK < JOB
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { PrivateKey, PublicKey, Signature } from 'hive-tx'

const require = createRequire(import.meta.url)
// Packages talk as they are loaded; standard output is for the answer.
console.log = console.info = console.error
const javalon = require('javalon')
// What javalon itself signs with, and what hivecrypt and AliveDB's own chat take.
const javalonRequire = createRequire(require.resolve('javalon'))
const secp256k1 = javalonRequire('secp256k1')
const bs58 = javalonRequire('bs58')
const sha256 = (data) => createHash('sha256').update(data).digest()
const ripemd160 = (data) => createHash('ripemd160').update(data).digest()

// hivecrypt's way: bytes by hand, no library of Hive.
const wifBytes = (wif) => Buffer.from(bs58.decode(wif)).subarray(1, 33)
const graphenePublic = (key, prefix) =>
  prefix + bs58.encode(Buffer.concat([Buffer.from(key), ripemd160(key).subarray(0, 4)]))
const rawSign = (wif, digest) => {
  const { signature, recid } = secp256k1.ecdsaSign(digest, wifBytes(wif))
  return Buffer.concat([Buffer.from([recid + 31]), Buffer.from(signature)]).toString('hex')
}
const rawRecover = (hex, digest, curve = secp256k1) => {
  const bytes = Buffer.from(hex, 'hex')
  return curve.ecdsaRecover(bytes.subarray(1), bytes[0] - 31, digest)
}
const verify = ({ digest, signature, wif, prefix }) =>
  graphenePublic(rawRecover(signature, digest), prefix) ===
  graphenePublic(secp256k1.publicKeyCreate(wifBytes(wif)), prefix)

const works = {
  sign: ({ texts, wif, avalon }) =>
    texts.map((text) => {
      const digest = sha256(text)
      const { signature, recid } = secp256k1.ecdsaSign(digest, bs58.decode(avalon))
      return {
        hiveTx: PrivateKey.from(wif).sign(digest).customToString(),
        raw: rawSign(wif, digest),
        avalon: { s: bs58.encode(signature), r: recid },
      }
    }),

  check: ({ cases, wif, avalon }) => {
    const own = PrivateKey.from(wif).createPublic().toString()
    const ownAvalon = javalon.privToPub(avalon)
    return cases.map(({ text, graphene, s, r }) => {
      const digest = sha256(text)
      return {
        hiveTx: Signature.from(graphene).getPublicKey(digest).toString() === own,
        raw: verify({ digest, signature: graphene, wif, prefix: 'STM' }),
        avalon: bs58.encode(secp256k1.ecdsaRecover(bs58.decode(s), r, digest)) === ownAvalon,
      }
    })
  },

  // How the original verifies: hash, recover, key text, comparison. Nanoseconds for all of them, one after the other. Where
  // nothing is built for the machine, the package does the curve in JavaScript: `script`.
  measure: ({ texts, signatures, wif, script }) => {
    const curve = script ? javalonRequire('secp256k1/elliptic') : secp256k1
    const own = graphenePublic(secp256k1.publicKeyCreate(wifBytes(wif)), 'STM')
    const all = (from, to) => {
      for (let n = from; n < to; n++) {
        const key = rawRecover(signatures[n], sha256(texts[n]), curve)
        if (graphenePublic(key, 'STM') !== own) throw new Error(`message ${n}`)
      }
    }
    all(0, Math.min(200, texts.length))
    const start = process.hrtime.bigint()
    all(0, texts.length)
    return Number(process.hrtime.bigint() - start)
  },
}

const answer = works[process.argv[2]](JSON.parse(await text(process.stdin)))
process.stdout.write(JSON.stringify(answer), () => process.exit(0))
