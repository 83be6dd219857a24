"""What an unmodified Python client of Kubo's HTTP API does with a store: main.py HOST PORT FOLDER"""

import asyncio
import json
import pathlib
import sys

import aioipfs


async def main(host: str, port: str, folder: str) -> None:
    large = b"".join(at.to_bytes(4, "little") for at in range(750_000))
    path = pathlib.Path(folder, "large.bin")
    path.write_bytes(large)
    tree = pathlib.Path(folder, "show", "hd")
    tree.mkdir(parents=True)
    (tree / "0.ts").write_bytes(b"zero")
    (tree.parent / "list.m3u8").write_bytes(b"#EXTM3U")

    client = aioipfs.AsyncIPFS(host=host, port=int(port))
    try:
        assert (await client.id())["ID"]
        assert (await client.version())["Version"]
        hello = await client.core.add_bytes(b"hello world")
        v0 = [entry async for entry in client.core.add(str(path))][-1]
        v1 = [entry async for entry in client.core.add(str(path), cid_version=1)][-1]
        show = [entry async for entry in client.core.add(str(tree.parent), recursive=True)]
        assert await client.core.cat(v0["Hash"]) == large
        assert await client.core.cat(v1["Hash"], offset=262_143, length=3) == large[262_143:262_146]
        pins = await client.pin.ls(pintype="recursive")
        assert v0["Hash"] in pins["Keys"], pins
        assert (await client.block.stat(hello["Hash"]))["Size"] == 19
        ids = {
            "hello": hello["Hash"],
            "v0": v0["Hash"],
            "v1": v1["Hash"],
            "tree": [[entry["Name"], entry["Hash"]] for entry in show],
        }
        print(json.dumps(ids))
    finally:
        await client.close()


asyncio.run(main(*sys.argv[1:]))
