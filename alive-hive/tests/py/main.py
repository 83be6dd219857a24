"""Lets unmodified beem do one piece of work. The job comes as JSON on standard input, the answer goes as JSON to
standard output.

usage: python main.py WORK < JOB
"""
import json
import sys
import time
from binascii import hexlify, unhexlify

from beem import Hive
from beem.account import Account
from beem.block import Block, BlockHeader
from beem.blockchain import Blockchain
from beem.comment import Comment
from beem.exceptions import ContentDoesNotExistsException
from beem.transactionbuilder import TransactionBuilder
from beembase import operations
from beembase.signedtransactions import Signed_Transaction
from beemgraphenebase import ecdsasig
from beemgraphenebase.account import PasswordKey, PrivateKey, PublicKey

DEADLINE_SECS = 60
PAUSE_SECS = 0.05
# What names the chain among those that beem knows; it must hold the prefix of the constants of `get_config`.
CHAIN = "HIVE_DEVELOPMENT"


def chain_of(job):
    """The chain of a job, as beem describes its known ones."""
    assets = [
        {"asset": "@@000000013", "symbol": "HBD", "precision": 3, "id": 0},
        {"asset": "@@000000021", "symbol": "HIVE", "precision": 3, "id": 1},
        {"asset": "@@000000037", "symbol": "VESTS", "precision": 6, "id": 2},
    ]
    return {
        "chain_id": job["chainId"],
        "min_version": "1.0.0",
        "prefix": job["prefix"],
        "chain_assets": assets,
    }


def connect(job, *wifs):
    return Hive(node=[job["url"]], keys=list(wifs), custom_chains={CHAIN: chain_of(job)})


def login(job, account, role, password):
    return PasswordKey(account, password, role=role, prefix=job["prefix"]).get_private()


def until_in_blocks(hive, start, ids):
    """Reads block after block until the transactions are in them, and gives what they hold."""
    chain = Blockchain(blockchain_instance=hive, mode="head")
    missing, seen, num = set(ids), [], start
    end = time.monotonic() + DEADLINE_SECS
    while missing:
        if chain.get_current_block_num() < num:
            if time.monotonic() > end:
                raise RuntimeError(f"not in a block: {missing}")
            time.sleep(PAUSE_SECS)
            continue
        block = Block(num, blockchain_instance=hive)
        data = block.json()
        for name, transaction in zip(data["transaction_ids"], data["transactions"]):
            if name in missing:
                missing.remove(name)
                plain = [
                    [op["type"].removesuffix("_operation"), op["value"]]
                    for op in transaction["operations"]
                ]
                seen.append({"id": name, "block": num, "operations": plain})
        num += 1
    return seen


def stream(job):
    """Broadcasts the payloads of a stream and a post, then looks at all of it."""
    key = login(job, job["account"], "posting", job["password"])
    hive = connect(job, str(key))
    start = hive.get_dynamic_global_properties(use_stored_data=False)["head_block_number"]
    ids = []
    for payload in job["payloads"]:
        sent = hive.custom_json(
            job["customJsonId"], payload, required_posting_auths=[job["account"]]
        )
        ids.append(sent["trx_id"])
    post = job["post"]
    sent = hive.post(
        post["title"],
        post["body"],
        author=job["account"],
        permlink=post["permlink"],
        tags=[post["tag"]],
        beneficiaries=post["beneficiaries"],
        comment_options={
            "max_accepted_payout": "1000.000 HBD",
            "percent_hbd": 5000,
            "allow_curation_rewards": False,
        },
    )
    ids.append(sent["trx_id"])

    seen = until_in_blocks(hive, start, ids)
    account = Account(job["account"], blockchain_instance=hive)
    header = BlockHeader(seen[0]["block"], blockchain_instance=hive)
    block = Block(seen[0]["block"], blockchain_instance=hive)
    chain = Blockchain(blockchain_instance=hive, mode="head")
    head = chain.get_current_block_num()
    streamed = list(chain.blocks(start=start, stop=head, max_batch_size=50))
    shown = [
        Comment(f"@{job['account']}/{post['permlink']}", api=api, blockchain_instance=hive)
        for api in ("condenser", "bridge")
    ]
    try:
        Comment(f"@{job['account']}/another", api="bridge", blockchain_instance=hive)
        nothing = False
    except ContentDoesNotExistsException:
        nothing = True
    return {
        "ids": ids,
        "seen": seen,
        "post": shown[0].json(),
        "samePost": all(shown[0][name] == shown[1][name] for name in ("author", "title", "body")),
        "nothing": nothing,
        "mana": account.get_rc_manabar()["current_mana"],
        "account": {"name": account["name"], "key": account["posting"]["key_auths"][0][0]},
        "expectedKey": format(key.pubkey, job["prefix"]),
        "chainId": hive.get_config(use_stored_data=False)["HIVE_CHAIN_ID"],
        "head": head,
        "sameWitness": header.json()["witness"] == block.json()["witness"],
        "streamed": len(streamed) == head - start + 1,
    }


def refused(job):
    """Broadcasts with a key that may not."""
    hive = connect(job)
    builder = TransactionBuilder(blockchain_instance=hive)
    op = {
        "required_auths": [],
        "required_posting_auths": [job["account"]],
        "id": job["customJsonId"],
        "json": job["payloads"][0],
    }
    builder.appendOps(operations.Custom_json(op))
    builder.appendWif(job["wif"])
    name = builder.sign().id
    try:
        builder.broadcast()
    except Exception as error:  # noqa: BLE001: what beem raises is what the test is about
        return {"id": name, "message": str(error), "name": type(error).__name__}
    return {"id": name}


def check(job):
    """What beem makes of our transactions and keys, and its own signatures of them."""
    chain, prefix, answers = chain_of(job), job["prefix"], []
    for case in job["cases"]:
        legacy = json.loads(json.dumps(case["legacy"]))
        ours = Signed_Transaction({**legacy, "prefix": prefix})
        ours.deriveDigest(chain)
        digest = ours.digest
        keys = ours.verify(chain=chain, recover_parameter=True)
        keys = [format(PublicKey(key, prefix=prefix), prefix) for key in keys]
        again = Signed_Transaction({**legacy, "signatures": [], "prefix": prefix})
        again.sign([case["wif"]], chain=chain)
        key = PrivateKey(case["wif"], prefix=prefix)
        answers.append({
            "id": ours.id,
            "digest": hexlify(digest).decode(),
            "keys": keys,
            "signature": json.loads(str(again))["signatures"][0],
            "wif": format(PrivateKey(case["hex"], prefix=prefix), "WIF"),
            "public": format(PublicKey(format(key.pubkey, prefix), prefix=prefix), prefix),
            "login": str(login(job, *case["login"])),
        })
    return answers


def nanoseconds(samples, job, run):
    """How long `run` takes for one of the samples: the fastest of some batches after one that warms up."""

    def batch():
        start, count, took = time.perf_counter_ns(), 0, 0
        while took < job["millis"] * 1e6:
            for sample in samples:
                run(sample)
            count += len(samples)
            took = time.perf_counter_ns() - start
        return took / count

    batch()
    return min(batch() for _ in range(job["batches"]))


def bench(job):
    """How long signing, recovering and serialising take; signing and recovering hash the message, too."""
    wif, samples, chain = job["wif"], [], chain_of(job)
    for sample in job["samples"]:
        transaction = Signed_Transaction({**sample["legacy"], "prefix": job["prefix"]})
        transaction.deriveDigest(chain)
        samples.append((transaction, transaction.message, unhexlify(sample["signature"])))
    return {
        "version": f"Python, {ecdsasig.SECP256K1_MODULE}",
        "sign": nanoseconds(samples, job, lambda sample: ecdsasig.sign_message(sample[1], wif)),
        "recover": nanoseconds(
            samples, job, lambda sample: ecdsasig.verify_message(sample[1], sample[2])
        ),
        "id": nanoseconds(samples, job, lambda sample: sample[0].id),
    }


WORKS = {"stream": stream, "refused": refused, "check": check, "bench": bench}

if __name__ == "__main__":
    json.dump(WORKS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
