"""The errors that end a command with one sentence instead of a traceback."""


class UserError(Exception):
    """A person's mistake, told in one sentence: what, where, and what to do."""


class Diverged(Exception):
    """A loss became NaN or infinite."""


class Interrupted(Exception):
    """A signal asked the run to stop, and it did, with everything saved."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal
