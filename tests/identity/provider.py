"""A small real OpenID provider on loopback: discovery and keys, which can be rotated, and it can go away and come back.

In a test: `async with Provider(signer) as provider:`, `provider.issuer`, `provider.requests`. As a process, to be
killed: `python -m tests.identity.provider FOLDER PORT`; its keys are FOLDER/jwks.json, each request is a line of
FOLDER/requests.
"""

import asyncio
import sys
from pathlib import Path
from typing import Self

from tests.identity.signing import Signer, dumps

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"


class Provider:
    """A provider whose keys are those of `signers`; `path` is what its issuer ends in."""

    def __init__(self, *signers: Signer, path: str = "", port: int = 0) -> None:
        self.keys: object = [signer.jwk for signer in signers]
        self.path = path
        self.port = port
        self.headers: list[str] = []
        """More headers of each answer."""
        self.changes: dict[str, object] = {}
        """What its discovery document says otherwise."""
        self.answers: dict[str, bytes] = {}
        """Whole answers, by path, in place of what it would say; an empty one never comes."""
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.released = asyncio.Event()
        """Lets go what is held."""
        self.released.set()
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def jwks_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{KEYS}"

    def rotate(self, *signers: Signer) -> None:
        """Publish other keys from here on."""
        self.keys = [signer.jwk for signer in signers]

    async def start(self) -> None:
        """Come up, on the same port as before."""
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Go away, whatever has been begun."""
        self._server.close()
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.decode("latin-1").split(" ")[1]
            self.note(path)
            self.asked.set()
            await self.released.wait()
            writer.write(self._answer(path))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._talks.discard(talk)
            writer.close()

    def note(self, path: str) -> None:
        self.requests.append(path)

    def published(self) -> bytes:
        """Give its key set."""
        return dumps({"keys": self.keys})

    def _answer(self, path: str) -> bytes:
        if path in self.answers:
            return self.answers[path]
        if path == self.path.removesuffix("/") + DISCOVERY:
            return answer(200, dumps({"issuer": self.issuer, "jwks_uri": self.jwks_url} | self.changes), *self.headers)
        if path == KEYS:
            return answer(200, self.published(), *self.headers)
        return answer(404, b"{}")


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """Spell an answer after which the connection ends."""
    lines = [f"HTTP/1.1 {status} As Told", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class FolderProvider(Provider):
    """A provider whose keys and requests are in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(port=port)
        self._folder = folder

    def note(self, path: str) -> None:
        with (self._folder / "requests").open("a") as file:
            file.write(f"{path}\n")

    def published(self) -> bytes:
        return (self._folder / "jwks.json").read_bytes()


async def serve(folder: Path, port: int) -> None:
    async with FolderProvider(folder, port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
