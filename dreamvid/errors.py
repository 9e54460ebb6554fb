"""Errors of the world, as opposed to errors of the code.

    DreamvidError       one line, fit for a user: the value at fault and what is allowed
    ├── ConfigError     an option, or a combination of options, is wrong (exit code 2)
    ├── MediaError      a file cannot be read or written as asked
    ├── GuideError      a guide, or an optical-flow network, is not available
    ├── GradientError   a guide's gradient is not finite, or zero everywhere
    ├── JournalError    an unfinished run is in the way, or cannot be resumed
    └── DeviceError     the requested device is not present

Misuse of the library by its caller (a tensor of the wrong shape, say) is a ValueError.
"""

LONGEST_SHOWN = 200
"""Largest number of characters of a value that a message shows."""


def shown(value: object) -> str:
    """A value as a message shows it; a long one is cut."""
    try:
        text = str(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


class DreamvidError(Exception):
    """Base of all expected failures. `exit_code` is the command line's exit status.

    The message is one line: line breaks in it, which a user's text may contain, become blanks.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, excerpt: str = "") -> None:
        super().__init__(" ".join(message.splitlines()))
        self.excerpt = excerpt
        """The faulty text and, in a second line, a caret under the mistake; may be empty."""


class ConfigError(DreamvidError):
    exit_code = 2


class MediaError(DreamvidError):
    pass


class GuideError(DreamvidError):
    pass


class GradientError(DreamvidError):
    pass


class JournalError(DreamvidError):
    pass


class DeviceError(DreamvidError):
    pass
