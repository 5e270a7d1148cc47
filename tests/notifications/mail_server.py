"""A real SMTP server on loopback that takes mails, or says and does what a test scripts for a stage of the talk."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HANG, DROP = "hang", "drop"
ACCEPTED = "250 OK"


class MailServer:
    """`mails` is what was accepted, in order, and `raw` the same as it came.

    `script["RCPT"] = "550 5.1.1 no such user"` refuses; `HANG` answers nothing more, `DROP` closes the connection.
    Stages: MAIL, RCPT, DATA, ACCEPTED (after the mail was taken), QUIT.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.recipients: list[str] = []
        self.script: dict[str, str] = {}
        self.conversations = 0
        self._controller = _OnAFreePort(self, hostname="127.0.0.1", port=0, ready_timeout=60)

    @property
    def port(self) -> int:
        return self._controller.real_port

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def message_ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.conversations += 1
        said = await self._play("MAIL", server)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return said

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await self._play("RCPT", server)
        if said == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        said = await self._play("DATA", server)
        if said != ACCEPTED:
            return said
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        self.recipients.extend(envelope.rcpt_tos)
        return await self._play("ACCEPTED", server)

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.script.get("QUIT", "221 Bye")

    async def _play(self, stage: str, server: SMTP) -> str:
        said = self.script.get(stage, ACCEPTED)
        if said == HANG:
            await asyncio.Event().wait()
        if said == DROP:
            assert server.transport is not None
            server.transport.abort()
        return said


class _OnAFreePort(Controller):
    @property
    def real_port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def _trigger_server(self) -> None:
        with socket.create_connection(("127.0.0.1", self.real_port), 60) as greeted:
            greeted.recv(100)

    def factory(self) -> SMTP:
        return SMTP(self.handler, hostname="mail.test", enable_SMTPUTF8=False)


@contextlib.contextmanager
def running() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def greeting_with(line: bytes | None) -> Iterator[int]:
    """A port whose server says this one line and nothing more; None says nothing at all. Gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                held.append(client)
                if line is not None:
                    client.sendall(line)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for client in held:
            client.close()
        thread.join(60)


@contextlib.contextmanager
def nobody_there() -> Iterator[int]:
    """A port at which nobody listens, kept so that nobody comes."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def text_of(mail: EmailMessage) -> str:
    return _part(mail, "plain")


def html_of(mail: EmailMessage) -> str:
    return _part(mail, "html")


def _part(mail: EmailMessage, kind: str) -> str:
    part: Any = mail.get_body((kind,))
    content: str = part.get_content()
    return content.replace("\r\n", "\n")
