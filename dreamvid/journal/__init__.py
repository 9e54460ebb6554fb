"""A run on disk, so that a kill at any moment costs at most the frame in hand.

Beside the result OUT lies the folder OUT.dreaming while it is made:

    state.0, state.1    the run, how far it is, and its `Carry`; written in turns after every
                        frame, so that a damaged one leaves the one before
    000002.segment      packets of a closed segment, encoded by an encoder of its own
    000003.open         the pictures of the open segment, as the encoder takes them
    joining.mp4         the result, as the segments are joined at the end
    done                which file that was, once it is ready for its name, and its summary
    lock                the process at work

Segments are cut by frame count alone, and each encoder starts afresh, so that a run that was
killed and one that was not give the same packets. Every file ends with a hash of what is before.

`run` says what decides about a result, `state` how far it is, `segments` what is done, `record`
turns what is carried into bytes; `writing` makes a journal, `viewing` looks into one.
"""

from dreamvid.journal.run import FileMark, Run
from dreamvid.journal.state import State, folder_of, read_state
from dreamvid.journal.viewing import is_done, nothing_finished, peek, read_mark, remove_folder
from dreamvid.journal.writing import Journal

__all__ = [
    "FileMark",
    "Journal",
    "Run",
    "State",
    "folder_of",
    "is_done",
    "nothing_finished",
    "peek",
    "read_mark",
    "read_state",
    "remove_folder",
]
