"""Pictures of three-dimensional models of everyday things, under many angles and lights.

The models are those of Debian's `sweethome3d-furniture`, OBJ files in zipped catalogues. They are
drawn as many points of their surfaces, the nearest in front: slow, and sharp enough for so few
pixels.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

CATALOGUES = ("BlendSwap-CC-0", "BlendSwap-CC-BY", "KatorLegaz", "Scopia")
"""All but the one that holds people alone."""
POINTS = 250_000
SIDE = 176
VIEWS = 4
MODELS = 8
"""Of one name, at most: of chairs and radiators there are dozens."""

_CATEGORIES = ("Doors and windows", "Staircases")
_NOT_THINGS = re.compile(
    r"^(fe)?male$|^box$|^basin$|door\b|\bunit\b|tool$|seats$|strip$|plug|switch|socket|arrow|"
    r"parking|bill |crossing|screen door|window|heater|column|hanging|island|cabinet|radiator|"
    r"railing|frame|shower head|technical|opened|class seat|children game|mp3|dvd|entry|intercom|"
    r"induction|letter|tower|number|emergency|artwork|spotlight|track lights|utensils|servers|"
    r"penbox|rigged|marker|detector|vanity|kitchen tools|old jar|glass and|glasses and|living room|"
    r"sidewalk|tatami|bathmat|stall"
)
_HEADS = ("chair", "table", "sofa", "armchair", "bed", "desk", "bench", "lamp", "carpet", "oven")
"""What is called by these after other words is one of them."""
_NAMES = {
    "apple ibook": "laptop",
    "apple iphone": "mobile phone",
    "apple imac 1998": "computer",
    "apple imac 2004": "computer",
    "concept sedan 01": "car",
    "concept sedan 02": "car",
    "concept sedan 02 sport": "sports car",
    "ford focus": "car",
    "peugeot 308 cc": "car",
    "renault scenic": "car",
    "seat leon": "car",
    "smart car": "car",
    "chevrolet": "car",
    "vw new beetle": "car",
    "car model": "car",
    "yamaha yzr r6": "motorcycle",
    "motorbike": "motorcycle",
    "bike": "bicycle",
    "city bus": "bus",
    "clothes washing machine": "washing machine",
    "coffee mug": "mug",
    "coffee cup": "cup",
    "fridge": "refrigerator",
    "large fridge": "refrigerator",
    "flipper": "pinball machine",
    "glasses": "eyeglasses",
    "hashtray": "ashtray",
    "little plant": "potted plant",
    "indoor plant": "potted plant",
    "decorative plant": "potted plant",
    "plant": "potted plant",
    "mower": "lawn mower",
    "puff": "pouf",
    "reflex camera": "camera",
    "short": "shorts",
    "soccer ball": "soccer ball",
    "teck chair": "chair",
    "tv": "television",
    "tv 16:9": "television",
    "wall flat tv": "television",
    "woman shoes": "high-heeled shoe",
    "apples": "apple",
    "siamese cat": "cat",
    "bulldog": "dog",
    "deer": "deer",
    "cone": "traffic cone",
    "rails": "railway track",
    "barnum": "marquee",
    "little bank": "bench",
    "wood bank": "bench",
    "bended coconut tree": "coconut tree",
    "hood": "range hood",
}
"""Better names than the catalogues'."""


@dataclass(frozen=True)
class Model:
    """One thing of a catalogue."""

    names: list[str]
    """The concept first."""
    maker: str
    catalogue: str
    path: Path
    """Of its OBJ file."""


@dataclass(frozen=True)
class Surface:
    """Points of a thing, the y axis upwards, within the unit ball."""

    points: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    """(n, 3) each, colours in [0, 1]."""


def models(furniture: Path, unpacked: Path) -> Iterator[Model]:
    """The things of the catalogues in `furniture`, whose files are put into `unpacked`."""
    seen: Counter[str] = Counter()
    for catalogue in CATALOGUES:
        folder = unpacked / catalogue
        if not folder.exists():
            with zipfile.ZipFile(furniture / f"{catalogue}.sh3f") as archive:
                archive.extractall(folder)
        text = (folder / "PluginFurnitureCatalog.properties").read_text("latin1")
        entries: dict[str, dict[str, str]] = {}
        for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*)$", text, re.MULTILINE):
            entries.setdefault(number, {})[key] = value.strip()
        for entry in entries.values():
            told = entry["name"].lower()
            told = _NAMES.get(told, told)
            name = told.split()[-1] if told.split()[-1] in _HEADS else told
            if entry["category"] in _CATEGORIES or _NOT_THINGS.search(told) or seen[name] >= MODELS:
                continue
            path = folder / entry["model"].lstrip("/")
            if path.suffix == ".obj" and path.exists():
                seen[name] += 1
                names = list(dict.fromkeys((name, told)))
                yield Model(names, entry.get("creator", ""), catalogue, path)


def surface(path: Path, random: np.random.Generator) -> Surface:
    """Points of an OBJ file's surfaces, evenly spread, with their materials' colours."""
    scene = trimesh.load_scene(path)
    meshes = [g for g in scene.geometry.values() if isinstance(g, trimesh.Trimesh) and g.area > 0]
    area = sum(mesh.area for mesh in meshes)
    parts = []
    for mesh in meshes:
        count = max(8, round(POINTS * mesh.area / area))
        seed = int(random.integers(1 << 30))
        points, faces = trimesh.sample.sample_surface(mesh, count, seed=seed)
        colours = _colours(mesh, points, faces)
        parts.append((points, mesh.face_normals[faces], colours))
    points, normals, colours = (
        np.concatenate(each).astype(np.float32) for each in zip(*parts, strict=True)
    )
    low, high = points.min(0), points.max(0)
    points = (points - (low + high) / 2) / (np.linalg.norm(high - low) / 2)
    return Surface(points, normals, colours)


def _colours(mesh: trimesh.Trimesh, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Of points on those faces, from the texture or else the material: (n, 3) in [0, 1]."""
    material, uv = getattr(mesh.visual, "material", None), getattr(mesh.visual, "uv", None)
    image = getattr(material, "image", None)
    if image is None or uv is None:
        plain = np.asarray(getattr(material, "main_color", (128, 128, 128)), np.float64).ravel()
        return np.broadcast_to(plain[:3] / 255, points.shape)
    corners = mesh.triangles[faces]
    weights = trimesh.triangles.points_to_barycentric(corners, points)  # type: ignore[no-untyped-call]
    places = (np.asarray(uv)[mesh.faces[faces]] * weights[..., None]).sum(1)
    return np.asarray(trimesh.visual.color.uv_to_interpolated_color(places, image))[:, :3] / 255


def view(thing: Surface, random: np.random.Generator) -> Image.Image:
    """The thing from a random side and a little above, under a random light; RGBA."""
    yaw, pitch = random.uniform(-np.pi, np.pi), random.uniform(0.05, 0.6)
    around = _turn(0, 2, yaw)
    rotation = (_turn(1, 2, pitch) @ around).astype(np.float32)
    points, normals = thing.points @ rotation.T, thing.normals @ rotation.T
    normals = np.where(normals[:, 2:] < 0, -normals, normals)
    distance = random.uniform(2.5, 5)
    scale = SIDE / 2 * 0.95 * (distance - 1) / (distance - points[:, 2])
    columns = np.clip(SIDE / 2 + points[:, 0] * scale, 0, SIDE - 1).astype(int)
    rows = np.clip(SIDE / 2 - points[:, 1] * scale, 0, SIDE - 1).astype(int)
    order = np.argsort(points[:, 2], kind="stable")
    light = np.array([random.uniform(-1, 1), random.uniform(0.2, 1), random.uniform(0.2, 1)])
    light /= np.linalg.norm(light)
    ambient = random.uniform(0.3, 0.6)
    lit = ambient + (1.15 - ambient) * (normals @ light.astype(np.float32)).clip(0)
    gloss = random.uniform(0, 0.5) * ((normals @ _half(light)).clip(0) ** 24)
    colours = (thing.colours * lit[:, None] + gloss[:, None]).clip(0, 1)
    canvas = np.zeros((SIDE, SIDE, 4), np.uint8)
    shown = np.concatenate([colours, np.ones((len(colours), 1), np.float32)], 1)
    # The last of those written to one place stays: the nearest.
    canvas[rows[order], columns[order]] = (shown[order] * 255).astype(np.uint8)
    return Image.fromarray(canvas)


def _half(light: np.ndarray) -> np.ndarray:
    """The direction half way between the light and the eye."""
    half = light + np.array([0, 0, 1.0])
    unit: np.ndarray = (half / np.linalg.norm(half)).astype(np.float32)
    return unit


def _turn(first: int, second: int, angle: float) -> np.ndarray:
    """The rotation by an angle in the plane of two axes."""
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
