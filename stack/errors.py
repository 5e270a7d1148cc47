"""What can keep the stack from running, each with a message that a person can act upon."""


class StackError(Exception):
    """Something that the person at the terminal has to know about; printed without a traceback."""


class PortBusy(StackError):
    """A port that one of our processes needs is taken by somebody else."""


class NotReady(StackError):
    """A process did not become ready in time, or died while we waited for it."""


class DataUnusable(StackError):
    """A data folder exists that the embedded server must not or cannot use."""


class AlreadyRunning(StackError):
    """Another stack uses the same ``var`` folder."""
