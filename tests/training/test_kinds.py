"""What kinds of a thing are called."""

from __future__ import annotations

import kinds

NOUNS = """\
  1 a heading of the file
00000001 05 n 01 animal 0 000 | lives
00000002 05 n 02 dog 0 domestic_dog 0 001 @ 00000001 n 0000 | barks
00000003 05 n 01 Spaniel 0 001 @ 00000002 n 0000 | has long ears
00000004 05 n 01 water_spaniel 0 001 @ 00000003 n 0000 | swims
00000005 18 n 01 dog 1 000 | a scoundrel
00000006 06 n 01 gizmo 0 000 | made
"""
SENSES = """\
  1 a heading of the file
animal n 1 0 1 1 00000001
dog n 2 1 @ 2 1 00000002 00000005
domestic_dog n 1 1 @ 1 1 00000002
spaniel n 1 1 @ 1 0 00000003
water_spaniel n 1 1 @ 1 0 00000004
gizmo n 1 0 1 1 00000006
"""


def test_a_kind_is_one_of_the_nearest_thing_above_it(tmp_path):
    (tmp_path / "data.noun").write_text(NOUNS)
    (tmp_path / "index.noun").write_text(SENSES)
    ranks = {"animal": 5, "dog": 3, "domestic": 70, "spaniel": 900, "water": 20, "gizmo": 9}
    assert kinds.kinds(tmp_path, {"dog"}, ranks) == {
        "dog": ["domestic dog", "spaniel", "water spaniel"]
    }
    both = kinds.kinds(tmp_path, {"dog", "spaniel"}, ranks)
    assert both == {"dog": ["domestic dog"], "spaniel": ["water spaniel"]}
    rare = {**ranks, "water": kinds.COMMON}
    assert kinds.kinds(tmp_path, {"dog"}, rare) == {"dog": ["domestic dog", "spaniel"]}
