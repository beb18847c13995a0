"""Requests that no client would send: bytes on a socket."""

import asyncio

import httpx


async def exchange(client: httpx.AsyncClient, request: bytes, *, half_close: bool = False) -> bytes:
    """Send `request`, byte for byte, to the service behind `client`; give all that it answers until it hangs up."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    try:
        writer.write(request)
        await writer.drain()
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """Spell a request of HTTP/1.1 after which the service is to hang up."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
