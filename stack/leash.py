"""Become another program, on a leash: run by path, in place of ``preexec_fn``, which is unsafe with threads.

    python -I -S leash.py PARENT_PID DEATH_SIGNAL UID GID COMMAND [ARGUMENT …]

Gives up root for UID and GID (``-1`` keeps the user), asks Linux to send DEATH_SIGNAL when the parent dies, and
executes the command in the same process. The order matters: a change of user clears the parent-death signal, and
after it the interpreter's own files may be out of reach, so that everything is imported before.
Elsewhere than on Linux there is no such signal; there the guardian alone sees to it that nobody is left behind.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def ask_to_die_with_the_parent(*, parent: int, signum: int) -> None:
    """Have the kernel send ``signum`` to this process when ``parent`` is gone. :raises OSError: it refused."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        # The parent died between our fork and the line above: the signal will never come.
        sys.exit(0)


def give_up_root(*, uid: int, gid: int) -> None:
    """Become the unprivileged ``uid``:``gid``, with no further groups, for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(*, arguments: list[str]) -> None:
    """Do the three steps of the module's docstring. :raises OSError: the command cannot be executed."""
    parent, signum, uid, gid, *command = arguments
    if int(uid) >= 0:
        give_up_root(uid=int(uid), gid=int(gid))
    if sys.platform == "linux":
        ask_to_die_with_the_parent(parent=int(parent), signum=int(signum))
    try:
        os.execvp(command[0], command)  # noqa: S606  to become that program is what this module is for
    except OSError as problem:
        sys.exit(f"{command[0]}: {problem.strerror}")


if __name__ == "__main__":
    main(arguments=sys.argv[1:])
