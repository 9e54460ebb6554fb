"""Pictures of models."""

from __future__ import annotations

import models3d
import numpy as np
import pytest


def test_a_model_is_seen_from_its_side_in_its_colour(tmp_path):
    (tmp_path / "red.mtl").write_text("newmtl red\nKd 1 0 0\n")
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 4) for y in (0, 1) for z in (0, 1))
    faces = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    path = tmp_path / "bar.obj"
    path.write_text(f"mtllib red.mtl\n{corners}usemtl red\n{faces}")
    random = np.random.default_rng(0)
    thing = models3d.surface(path, random)
    assert thing.points.shape == thing.normals.shape == thing.colours.shape
    assert np.abs(np.linalg.norm(thing.points, axis=1)).max() == pytest.approx(1, abs=1e-3)
    shown = np.asarray(models3d.view(thing, random))
    solid = shown[..., 3] == 255
    # Glossy places are paler.
    assert 0.02 < solid.mean() < 0.6
    assert (shown[solid][:, 0] >= shown[solid][:, 1]).all()
    assert np.median(shown[solid][:, 0].astype(int) - shown[solid][:, 1]) > 60
