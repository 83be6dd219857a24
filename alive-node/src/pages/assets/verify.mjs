// Whether what a gateway sent is what a content id names.

import { readCar } from "./car.mjs";
import { RAW, SHA2_256, hex, sameCid } from "./cid.mjs";
import { Incomplete, Lie } from "./errors.mjs";
import { sha256 } from "./sha256.mjs";
import { MAX_BLOCK, PROFILES, fileCid, readFile } from "./unixfs.mjs";

/**
 * The file that `cid` names, from an archive of its blocks. It is exact for any way of cutting files. Throws `Incomplete`
 * when a part is missing, `Lie` when a block is not what its id says, and another error when all blocks are right but the
 * id names no file of at most `limit` bytes, which no gateway can help. What the archive calls its roots does not matter,
 * as gateways need not fill it.
 */
export async function fileOfCar(cid, archive, limit) {
  const { blocks } = await readCar(archive).catch((why) => {
    throw why instanceof Incomplete ? why : new Lie(why.message);
  });
  return readFile(cid, blocks, limit);
}

/**
 * The file itself, from a gateway that gives no archives: it is cut again in all usual ways until one gives the id.
 * Throws `Lie` if none does, which also honest bytes may do that were cut in an unusual way.
 */
export async function fileOfPlain(cid, bytes) {
  if (cid.hash !== SHA2_256) throw new Error("file: a hash that cannot be checked");
  if (cid.codec === RAW) {
    if (bytes.length > MAX_BLOCK || hex(await sha256(bytes)) !== hex(cid.digest)) throw new Lie("file: not what its id says");
    return bytes;
  }
  for (const profile of PROFILES) {
    if (sameCid(await fileCid(bytes, profile), cid)) return bytes;
  }
  throw new Lie("file: not what its id says, cut in any usual way");
}
