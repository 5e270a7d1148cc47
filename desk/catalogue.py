"""The desk's translations: read as people write them (`.po`), written as gettext reads them (`.mo`).

Both are kept side by side, so that no machine needs gettext's own programs; a test holds that one is what the other
says. The formats are GNU gettext's: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
"""

from __future__ import annotations

import ast
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "locale"
_MAGIC: Final = 0x950412DE
_HEADER: Final = 28
_PAIR: Final = 8
_KEYWORDS: Final = ("msgctxt", "msgid_plural", "msgid", "msgstr")


@dataclass(slots=True, kw_only=True)
class Message:
    """`said` is the translation: of several numbers in their order, where there is a plural."""

    context: str = ""
    msgid: str = ""
    plural: str = ""
    said: list[str] = field(default_factory=list)
    is_fuzzy: bool = False

    @property
    def key(self) -> str:
        """As the catalogue is looked up."""
        before = f"{self.context}\x04" if self.context else ""
        after = f"\0{self.plural}" if self.plural else ""
        return f"{before}{self.msgid}{after}"


def path(*, language: str, domain: str = "django") -> Path:
    """Where the translations into a language stand, as people write them."""
    return FOLDER / language / "LC_MESSAGES" / f"{domain}.po"


def read(text: str) -> list[Message]:
    """The messages of a `.po` file, its header (without a msgid) first. :raises ValueError: a line that is none."""
    messages: list[Message] = []
    current, part = Message(), ""
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = raw.strip()
        if not line:
            if part:
                messages.append(current)
            current, part = Message(), ""
        elif line.startswith("#"):
            current.is_fuzzy |= line.startswith("#,") and "fuzzy" in line
        else:
            keyword = next((each for each in _KEYWORDS if line.startswith(each)), "")
            if not keyword and not (part and line.startswith('"')):
                raise ValueError(f"line {number}: {line}")
            if keyword == "msgstr":
                current.said.append("")
            part = keyword or part
            _add(current, part, str(ast.literal_eval(line[line.index('"') :])))
    return messages


def compiled(messages: list[Message]) -> bytes:
    """The same as a `.mo` file. What is fuzzy or not translated is left out: English is shown for it."""
    said = {
        each.key.encode(): "\0".join(each.said).encode() for each in messages if all(each.said) and not each.is_fuzzy
    }
    keys = sorted(said)
    offset = _HEADER + 2 * _PAIR * len(keys)
    tables, texts = b"", b""
    for pieces in (keys, [said[key] for key in keys]):
        for piece in pieces:
            tables += struct.pack("<II", len(piece), offset + len(texts))
            texts += piece + b"\0"
    head = struct.pack("<7I", _MAGIC, 0, len(keys), _HEADER, _HEADER + _PAIR * len(keys), 0, offset)
    return head + tables + texts


def _add(message: Message, part: str, text: str) -> None:
    if part == "msgctxt":
        message.context += text
    elif part == "msgid":
        message.msgid += text
    elif part == "msgid_plural":
        message.plural += text
    else:
        message.said[-1] += text
