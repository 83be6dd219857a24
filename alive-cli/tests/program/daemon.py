"""Streams a recording with the calls that the daemon of the original tool makes, in its order: beem for the chain, plain
HTTP for everything else.

usage: python daemon.py configure|stream|end JOB.json

Every step is told on standard output. An interrupt ends a stream after what is uploaded has been shared.
"""
import json
import os
import signal
import sys
import threading
import time
from binascii import hexlify

import requests
from beem import Hive
from beemgraphenebase.account import PrivateKey
from beemgraphenebase.ecdsasig import sign_message

TIMEOUT = 60
POLL = 0.2


def say(text):
    print(text, flush=True)


class Daemon:
    def __init__(self, job):
        self.job = job
        self.account, self.link = job["account"], job["link"]
        self.network = "hive"
        self.token = None
        self.stopping = False
        self.uploaded = {}
        self.lock = threading.Lock()

    # --- the chain ---

    def rpc(self, method, params):
        call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        answer = requests.post(self.job["hive"], json=call, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()["result"]

    def check_key(self):
        """The key must be one of the account's posting keys; the prefix of networks does not count."""
        public = format(PrivateKey(self.job["wif"]).pubkey, "STM")[3:]
        accounts = self.rpc("condenser_api.get_accounts", [[self.account]])
        keys = [key[3:] for key, _ in accounts[0]["posting"]["key_auths"]]
        if public not in keys:
            sys.exit("the key is no posting key of the account")
        self.chain = Hive(node=[self.job["hive"]], keys=[self.job["wif"]])
        say("key is good")

    def broadcast(self, payload):
        self.chain.custom_json("alive-test", payload, required_posting_auths=[self.account])

    # --- the indexer ---

    def resume(self):
        query = {"stream_author": self.account, "stream_link": self.link}
        answer = requests.get(f"{self.job['halive']}/get_stream_info", params=query, timeout=TIMEOUT)
        info = answer.json()
        if answer.status_code != 200 or "error" in info:
            sys.exit(f"the stream is not configured: {info.get('error')}")
        finalized = info["chunk_finalized"]
        self.seq = 0 if finalized is None else finalized + 1
        say(f"next push {self.seq}")

    # --- AliveDB ---

    def log_in(self):
        user = requests.get(f"{self.job['alivedb']}/currentUser", timeout=TIMEOUT).json()
        if not user["loggedIn"]:
            login = {"id": self.job["user"], "key": self.job["password"]}
            done = requests.post(f"{self.job['alivedb']}/loginUser", json=login, timeout=TIMEOUT)
            if not done.json().get("success"):
                sys.exit(f"no login: {done.text}")
            user = requests.get(f"{self.job['alivedb']}/currentUser", timeout=TIMEOUT).json()
        if user["requiresAccessToken"]:
            self.get_token(user["authId"])
        say(f"user {user['pub']}")

    def get_token(self, auth_id):
        # On a chain whose blocks come fast, what is signed may be too old when it arrives.
        for _ in range(20):
            head = self.rpc("condenser_api.get_dynamic_global_properties", [])["head_block_number"]
            block = self.rpc("condenser_api.get_block", [head])["block_id"]
            text = f"{self.account}:{self.link}:{auth_id}:{self.network}:{head}:{block}"
            signature = hexlify(sign_message(text, self.job["wif"])).decode()
            asked = requests.post(
                f"{self.job['alivedb']}/getToken", data=f"{text}:{signature}", timeout=TIMEOUT
            )
            if asked.status_code == 200:
                self.token = asked.json()["access_token"]
                say("token")
                return
        sys.exit(f"no token: {asked.text}")

    def push_live(self, src, length):
        body = {
            "network": self.network,
            "streamer": self.account,
            "link": self.link,
            "stream": {"src": src, "len": length},
        }
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = requests.post(
            f"{self.job['alivedb']}/pushStream", json=body, headers=headers, timeout=TIMEOUT
        )
        return answer.status_code == 200 and answer.json().get("success") is True

    # --- IPFS ---

    def add(self, name, content):
        answer = requests.post(
            f"{self.job['ipfs']}/api/v0/add", files={"file": (name, content)}, timeout=TIMEOUT
        )
        answer.raise_for_status()
        return answer.json()["Hash"]

    # --- the recording ---

    def playlist(self):
        names = [name for name in os.listdir(self.job["folder"]) if name.endswith(".m3u8")]
        paths = [os.path.join(self.job["folder"], name) for name in names]
        return max(paths, key=os.path.getctime, default=None)

    def scan(self):
        """Uploads each file once it is whole: its successor is there, or the list has its end."""
        base, number = None, 0
        while not self.stopping:
            playlist = self.playlist() if base is None else base + ".m3u8"
            if playlist is None:
                time.sleep(POLL)
                continue
            base = playlist.removesuffix(".m3u8")
            with open(playlist, encoding="utf-8") as file:
                lines = file.read().splitlines()
            this, following = (f"{base}{n}.ts" for n in (number, number + 1))
            is_last = lines[-1:] == ["#EXT-X-ENDLIST"] and os.path.exists(this)
            name = os.path.basename(this)
            if name in lines and (os.path.exists(following) or is_last):
                length = float(lines[lines.index(name) - 1].removeprefix("#EXTINF:").rstrip(","))
                thread = threading.Thread(target=self.upload, args=(number, this, length))
                thread.start()
                number += 1
                continue
            time.sleep(POLL)

    def upload(self, number, path, length):
        while True:
            with open(path, "rb") as file:
                src = self.add(os.path.basename(path), file.read())
            length = round(length, 3)
            if len(src) >= 46 and self.push_live(src, length):
                break
            time.sleep(1)
        with self.lock:
            self.uploaded[number] = (src, length)
        say(f"uploaded {os.path.basename(path)}")

    # --- sharing ---

    def ready(self, after):
        """The unbroken run of files that are uploaded and not yet shared."""
        run = []
        with self.lock:
            while after + len(run) in self.uploaded:
                run.append(self.uploaded[after + len(run)])
        return run

    def share(self, run):
        payload = {"op": 0, "seq": self.seq, "link": self.link}
        if len(run) == 1:
            payload["src"], payload["len"] = run[0]
        else:
            csv = "\n".join(f"{src},{length}" for src, length in run)
            payload["src"] = self.add("chunk.csv", csv)
        self.broadcast(payload)
        say(f"shared {len(run)} as {self.seq}")
        self.seq += 1

    def stream(self):
        self.check_key()
        self.resume()
        self.log_in()
        signal.signal(signal.SIGINT, lambda *_: setattr(self, "stopping", True))
        scanner = threading.Thread(target=self.scan)
        scanner.start()
        shared, last = 0, time.monotonic()
        while not self.stopping:
            run = self.ready(shared)
            if run and time.monotonic() - last >= self.job["interval"]:
                self.share(run)
                shared, last = shared + len(run), time.monotonic()
            time.sleep(POLL)
        scanner.join()
        run = self.ready(shared)
        if run:
            self.share(run)
        say("stopped")

    def configure(self):
        self.check_key()
        payload = {"op": 2, "link": self.link, "pub": self.job["pub"], "l2": "gundb"}
        self.broadcast(payload)
        say("configured")

    def end(self):
        self.check_key()
        self.broadcast({"op": 1, "link": self.link})
        say("ended")


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        daemon = Daemon(json.load(file))
    {"configure": daemon.configure, "stream": daemon.stream, "end": daemon.end}[sys.argv[1]]()
