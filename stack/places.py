"""Where an embedded server's data and programs stand, and as whom it runs.

PostgreSQL refuses to run as root, so as root both servers run as an unprivileged user. That user may be unable to
reach the project (``/root`` has mode 700): then data and programs move to a folder below ``/var/tmp`` that it can
reach, and ``var/<server>`` becomes a link to the data.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stack.child import Account
from stack.errors import DataUnusable

_NOBODY = 65534  # the number that "nobody" has on Linux, for images that have no such entry


def service_account() -> Account:
    """As whom the servers run: ourselves, or, if we are root, the user ``nobody``."""
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(uid=_NOBODY, gid=_NOBODY)
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def can_reach(*, path: Path, account: Account) -> bool:
    """Whether ``account`` may walk into the folder ``path``: every folder on the way must be searchable by it."""
    if account.uid < 0:
        return True
    path = path.resolve()
    return all(_may_search(folder.stat(), account) for folder in (path, *path.parents))


def _may_search(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def data_folder(*, wanted: Path, account: Account) -> Path:
    """The folder for one server's data: ``wanted`` itself, or the one below ``/var/tmp`` that it links to.

    It exists afterwards, with mode 700, owned by ``account``. Deleting the link is deleting the data: without it the
    folder outside is emptied, as it would have been had it stood in ``var``.

    :raises DataUnusable: ``wanted`` belongs to somebody else.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if wanted.is_symlink() or not can_reach(path=wanted.parent, account=account):
        return _folder_outside(wanted=wanted, account=account)
    return _own_folder(wanted, account)


def _folder_outside(*, wanted: Path, account: Account) -> Path:
    mark = hashlib.sha256(str(wanted.parent.resolve()).encode()).hexdigest()[:12]
    outside = _shelter() / f"data-{mark}" / wanted.name
    linked = wanted.is_symlink() and wanted.readlink() == outside
    if not linked:
        wanted.unlink(missing_ok=True)  # none, or the link of another project that this tree was copied from
        shutil.rmtree(outside, ignore_errors=True)
    outside.parent.mkdir(mode=0o711, exist_ok=True)
    folder = _own_folder(outside, account)
    if not linked:
        wanted.symlink_to(outside)
    return folder


def _own_folder(folder: Path, account: Account) -> Path:
    owner = os.geteuid() if account.uid < 0 else account.uid
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.uid >= 0 and folder.stat().st_uid == os.geteuid():
        os.chown(folder, account.uid, account.gid)
    if folder.stat().st_uid != owner:
        raise DataUnusable(
            f"{folder} belongs to user number {folder.stat().st_uid}, but the server would run as number {owner}. "
            "It was made when the stack ran as somebody else: run it as that user again, or remove the folder "
            "(and the data in it)."
        )
    return folder


def _shelter() -> Path:
    """Our folder outside the project, which nobody else may have prepared for us."""
    base = Path("/var/tmp")  # noqa: S108  it survives a reboot, and what we take from it is checked below
    folder = (base if base.is_dir() else Path(tempfile.gettempdir())) / f"nexus-{os.geteuid()}"
    folder.mkdir(mode=0o711, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DataUnusable(f"{folder} was made by somebody else, so nothing in it can be trusted: remove it.")
    return folder


def reachable_copy(*, of: Sequence[Path], name: str, account: Account) -> Path:
    """A folder that ``account`` can reach and that holds ``of``, which are neighbours: theirs, or one with copies.

    The copy appears under ``name`` only when it is complete; it is made once and shared by all our projects, so the
    name should carry the version.
    """
    home = of[0].parent
    if can_reach(path=home, account=account):
        return home
    copy = _shelter() / name
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=copy.parent))
        try:
            for original in of:
                _copy(original, unfinished / original.name)
            unfinished.chmod(0o711)
            unfinished.rename(copy)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not copy.exists():  # else somebody was quicker, and theirs is as good
                raise
    return copy


def _copy(original: Path, target: Path) -> None:
    if original.is_dir():
        shutil.copytree(original, target, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a", "__pycache__"))
    else:
        shutil.copy2(original, target)


def forget(*, wanted: Path) -> None:
    """Remove one server's data, wherever they are; for throw-away clusters, after the server has ended."""
    if wanted.is_symlink():
        outside = wanted.readlink()
        wanted.unlink()
        shutil.rmtree(outside, ignore_errors=True)
        if outside.parent.is_dir() and not any(outside.parent.iterdir()):
            outside.parent.rmdir()
    else:
        shutil.rmtree(wanted, ignore_errors=True)
