from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection

from notifications import mailbox


def send(folder, *, message_id: str = "<one@nexus.example>", subject: str = "ትዕዛዝ") -> int:
    mail = EmailMultiAlternatives(
        subject=subject, body="text", to=["abebech@gmail.com"], headers={"Message-ID": message_id}
    )
    mail.attach_alternative("<p>text</p>", "text/html")
    backend = get_connection("notifications.mailbox.EmlBackend", file_path=str(folder))
    return backend.send_messages([mail])


def test_each_mail_becomes_a_file_that_a_mail_program_opens(tmp_path):
    assert send(tmp_path / "var" / "mail") == 1

    (file,) = (tmp_path / "var" / "mail").iterdir()
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (mail["Subject"], mail["To"], mail["Message-ID"]) == ("ትዕዛዝ", "abebech@gmail.com", "<one@nexus.example>")
    assert file.name.endswith("-one@nexus.example.eml")


def test_the_files_stand_in_the_order_of_their_mails(tmp_path):
    for number in range(5):
        send(tmp_path, message_id=f"<{9 - number}@nexus.example>")

    names = [file.name for file in sorted(tmp_path.iterdir())]
    assert [name.split("-")[1] for name in names] == [f"{9 - number}@nexus.example.eml" for number in range(5)]
    written = datetime.strptime(names[0].split("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    assert written <= datetime.now(UTC)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path):
    send(tmp_path / "mail", message_id="<../../etc/passwd/\x00@x>")

    assert [file.parent for file in tmp_path.rglob("*.eml")] == [tmp_path / "mail"]


def test_half_a_mail_is_neither_seen_nor_left_behind(tmp_path):
    with pytest.raises(TypeError):
        mailbox.write(folder=tmp_path, label="x", suffix=".eml", content="no bytes")  # type: ignore[arg-type]

    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_settings_own_unless_another_is_given(settings, tmp_path):
    settings.MAIL_DIR = str(tmp_path / "var" / "mail")

    assert mailbox.EmlBackend().folder == tmp_path / "var" / "mail"
