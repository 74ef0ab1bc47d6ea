"""Produces a record with a header whose name is no UTF-8, which only few clients can.

python -m tests.hostile.odd_header SERVERS TOPIC PARTITION VALUE
"""

from __future__ import annotations

import asyncio
import os
import sys

__all__ = ["main"]


class _Odd(str):
    __slots__ = ()

    def encode(self, *_args: str) -> bytes:
        return b"\xff\xfe"


def main(servers: str, topic: str, partition: str, value: str) -> None:
    """Sends it and waits for the acknowledgement."""
    os.environ["AIOKAFKA_NO_EXTENSIONS"] = "1"  # the compiled part takes plain texts only
    from aiokafka import AIOKafkaProducer

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=servers)
        await producer.start()
        headers = [(_Odd("odd"), b"x"), ("content-type", b"application/json")]
        body = value.encode()
        await producer.send_and_wait(topic, body, partition=int(partition), headers=headers)
        await producer.stop()

    asyncio.run(send())


if __name__ == "__main__":
    main(*sys.argv[1:])
