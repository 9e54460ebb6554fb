"""A run on disk, so that a kill at any moment costs at most the two frames in hand.

While the result OUT is made, the folder OUT.dreaming lies beside it:

    state.0, state.1    the run and its progress; written in turns after every frame, so that the
                        older one remains when the newer one is damaged
    000008.carry        what is carried after 8 frames, in full
    000009.sketch       what the descent of frame 9 has made; a run goes on from the last carry
                        and the sketches since (`carries`)
    checkpoint          a state with work that no frame shows yet, as the canvas of a loop, or
                        the last frame that a part of a shot made for a seam
    000002.segment      packets of a closed segment, encoded by an encoder of its own; frames
                        where packets cannot be joined, as in GIF; a picture of a row of pictures
    000003.open         the pictures of the open segment, as the encoder takes them
    000123.shared       what a part of a shot makes of frame 123 of the film, which a seam will show
    joining.mp4         the result, while the segments are joined at the end; one picture of it
    done                the identity and the summary of that file, once only its name is missing
    lock                the process that writes the journal

Segments are cut by frame count alone, and each encoder starts anew, so that a killed and an
uninterrupted run give the same packets. States, carries, sketches, segments, shared frames and open
pictures end with their hash. Frames are written behind, by a thread of their own, in this order:
picture or segment, carry or sketch, state.

A film may also be made shot by shot, each in a journal of its own; see `shot_list`.

`run` holds the identity of a run, `state` its progress, `segments` its finished frames, which
`film` and `pictures` write and put together; `record` turns what is carried into bytes; `writing`
writes a journal, in the thread of `behind`, `viewing` reads one, and `ending` removes it. `shot`
writes the journal of one shot, and `joining` puts the shots together.
"""

from dreamvid.journal.ending import is_done, read_mark, remove_folder
from dreamvid.journal.joining import open_shots, ranges
from dreamvid.journal.run import FileMark, Run, write_config
from dreamvid.journal.shot import ShotJournal, ShotTakenError
from dreamvid.journal.shot_list import (
    ShotList,
    begin_shots,
    is_finished,
    read_shot_list,
    shot_state,
)
from dreamvid.journal.state import State, folder_of, read_checkpoint, read_state
from dreamvid.journal.viewing import nothing_finished, peek
from dreamvid.journal.writing import Journal

__all__ = [
    "FileMark",
    "Journal",
    "Run",
    "ShotJournal",
    "ShotList",
    "ShotTakenError",
    "State",
    "begin_shots",
    "folder_of",
    "is_done",
    "is_finished",
    "nothing_finished",
    "open_shots",
    "peek",
    "ranges",
    "read_checkpoint",
    "read_mark",
    "read_shot_list",
    "read_state",
    "remove_folder",
    "shot_state",
    "write_config",
]
