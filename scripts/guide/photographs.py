"""Photographs of named things, of licences that ask at most for attribution.

They are those of GCompris, from Debian's `gcompris-qt-data`: Qt resource files, whose READMEs say
who made each picture, where it is from and under which licence. Those in the public domain, under
CC0 or CC-BY are taken; share-alike and GPL are not.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

_LICENCES = re.compile(r"(public domain|cc0(-1\.0)?|cc-by[- ]\d\.\d)$", re.IGNORECASE)
_FIELD = re.compile(r"(Copyright|Source|License|Comments?|Files?)\s*:\s*(.*)")

THINGS = {
    "categorization/resource/images/fishes/fish": "fish",
    "categorization/resource/images/fishes/fish1": "fish, angelfish",
    "categorization/resource/images/fishes/fish8": "fish, salmon",
    "categorization/resource/images/fishes/fish9": "tropical fish, clownfish",
    "categorization/resource/images/fishes/fish10": "tropical fish, goldfish",
    "categorization/resource/images/fishes/fish11": "fish, trout",
    "categorization/resource/images/fishes/fish25": "goldfish",
    "categorization/resource/images/fishes/fish28": "blowfish, puffer fish",
    "categorization/resource/images/monuments/arcDeTriomphe": "triumphal arch",
    "categorization/resource/images/monuments/bayterek": "tower",
    "categorization/resource/images/monuments/brandenburgGate": "gate, brandenburg gate",
    "categorization/resource/images/monuments/burj": "skyscraper, tower",
    "categorization/resource/images/monuments/cathedral": "cathedral, church",
    "categorization/resource/images/monuments/christTheRedeemer": "statue",
    "categorization/resource/images/monuments/colosseum": "amphitheatre, colosseum",
    "categorization/resource/images/monuments/eiffelTower": "eiffel tower, tower",
    "categorization/resource/images/monuments/empireState": "skyscraper",
    "categorization/resource/images/monuments/greatPyramid": "pyramid",
    "categorization/resource/images/monuments/greatWall": "great wall of china, wall",
    "categorization/resource/images/monuments/IndiaGate": "triumphal arch, gate",
    "categorization/resource/images/monuments/jucheTower": "tower",
    "categorization/resource/images/monuments/kutubMinar": "tower, minaret",
    "categorization/resource/images/monuments/leaningTowerOfPisa": "leaning tower of pisa, tower",
    "categorization/resource/images/monuments/leMusee": "palace, louvre, museum",
    "categorization/resource/images/monuments/monument1": "mosque, dome",
    "categorization/resource/images/monuments/monument2": "ruins, columns",
    "categorization/resource/images/monuments/monument3": "church",
    "categorization/resource/images/monuments/mountRushmore": "mount rushmore",
    "categorization/resource/images/monuments/operaHouse": "opera house",
    "categorization/resource/images/monuments/parthenon": "greek temple, parthenon",
    "categorization/resource/images/monuments/statueOfLiberty": "statue of liberty, statue",
    "categorization/resource/images/monuments/tajMahal": "taj mahal, mausoleum",
    "categorization/resource/images/monuments/usCapitol": "capitol, government building",
    "categorization/resource/images/monuments/victoriaMemorial": "monument, statue",
    "categorization/resource/images/monuments/zimniPalace": "palace",
    "categorization/resource/images/others/baseball": "baseball",
    "categorization/resource/images/others/blackslate": "blackboard",
    "categorization/resource/images/others/bucket": "bucket, pail",
    "categorization/resource/images/others/buffetset": "cup and saucer, teacup",
    "categorization/resource/images/others/bulb": "light bulb",
    "categorization/resource/images/others/chair": "chair",
    "categorization/resource/images/others/cup": "cup",
    "categorization/resource/images/others/erasers": "eraser",
    "categorization/resource/images/others/igloo": "igloo",
    "categorization/resource/images/others/knife": "knife",
    "categorization/resource/images/others/pan": "frying pan, pan",
    "categorization/resource/images/others/pencil": "pencil",
    "categorization/resource/images/others/pillow": "pillow",
    "categorization/resource/images/others/plate": "plate",
    "categorization/resource/images/others/spoons": "spoon",
    "categorization/resource/images/others/volleyball": "volleyball",
    "categorization/resource/images/others/weighingMachine": "weighing machine, scales",
    "categorization/resource/images/renewable/dam": "dam",
    "categorization/resource/images/renewable/geothermal": "power station",
    "categorization/resource/images/renewable/solar": "solar panel",
    "categorization/resource/images/renewable/solar1": "solar cooker",
    "categorization/resource/images/renewable/solar2": "solar cooker",
    "categorization/resource/images/renewable/solar3": "solar cooker",
    "categorization/resource/images/renewable/windmill": "windmill",
    "categorization/resource/images/tools/cuttingTool": "pliers, cutters",
    "categorization/resource/images/tools/hammer": "hammer",
    "categorization/resource/images/tools/measuringTape": "tape measure, measuring tape",
    "categorization/resource/images/tools/multimeter": "multimeter",
    "categorization/resource/images/tools/nailCutter": "nail clippers",
    "categorization/resource/images/tools/plier": "pliers",
    "categorization/resource/images/tools/scissors": "scissors",
    "categorization/resource/images/tools/screwDriver": "screwdriver",
    "categorization/resource/images/tools/sickle": "sickle",
    "categorization/resource/images/tools/sideCutter": "pliers, wire cutters",
    "categorization/resource/images/tools/spray": "spray bottle",
    "categorization/resource/images/tools/tweezer": "tweezers",
    "categorization/resource/images/tools/wrench": "wrench",
    "clickgame/resource/blueking": "tropical fish",
    "clickgame/resource/butfish": "tropical fish, butterfly fish",
    "clickgame/resource/cichlid": "tropical fish",
    "clickgame/resource/collaris": "tropical fish",
    "clickgame/resource/discus": "tropical fish, discus fish",
    "clickgame/resource/f": "tropical fish",
    "clickgame/resource/manta": "manta ray, ray",
    "clickgame/resource/newf": "tropical fish",
    "clickgame/resource/QueenAngel": "tropical fish, angelfish",
    "clickgame/resource/shark": "shark",
    "clickgame/resource/six_barred": "tropical fish",
    "clickgame/resource/sea": "under water, sea floor",
    "clickgame/resource/sea4": "coral",
    "clickgame/resource/sea6": "starfish",
    "erase/resource/bee": "honeybee, bee",
    "erase/resource/chamaeleon": "chameleon, lizard",
    "erase/resource/crab": "crab",
    "erase/resource/gibbon": "gibbon, ape",
    "erase/resource/giraffe": "giraffe",
    "erase/resource/kingfisher": "kingfisher, bird",
    "erase/resource/kitten": "cat, kitten",
    "erase/resource/pika": "pika",
    "erase/resource/red_panda": "red panda",
    "explore_farm_animals/resource/animals/cat": "cat, kitten",
    "explore_farm_animals/resource/animals/chicken": "chicken, hen",
    "explore_farm_animals/resource/animals/cow": "cow",
    "explore_farm_animals/resource/animals/dog": "dog, german shepherd",
    "explore_farm_animals/resource/animals/duck": "duck",
    "explore_farm_animals/resource/animals/horse": "horse",
    "explore_farm_animals/resource/animals/owl": "owl",
    "explore_farm_animals/resource/animals/pig": "pig",
    "explore_farm_animals/resource/animals/sheep": "sheep",
    "explore_monuments/resource/wonders/colosseum": "amphitheatre, colosseum",
    "explore_monuments/resource/wonders/greatWallofChina": "great wall of china, wall",
    "explore_monuments/resource/wonders/machuPicchu": "ruins, machu picchu",
    "explore_monuments/resource/wonders/petra": "greek temple, petra",
    "explore_monuments/resource/india/ajantaCave": "cave temple, cave",
    "explore_monuments/resource/india/charminar": "mosque, minarets",
    "explore_monuments/resource/india/gatewayofIndia": "triumphal arch, gate",
    "explore_monuments/resource/india/goldenTemple": "golden temple, hindu temple",
    "explore_monuments/resource/india/greatStupa": "stupa",
    "explore_monuments/resource/india/hawaMahal": "palace",
    "explore_monuments/resource/india/konarkSunTemple": "hindu temple",
    "explore_monuments/resource/india/mysorePalace": "palace",
    "explore_monuments/resource/india/qutubMinar": "tower, minaret",
    "explore_monuments/resource/india/victoriaMemorial": "palace, memorial",
    "explore_monuments/resource/france/arlesAmphitheater": "amphitheatre",
    "explore_monuments/resource/france/chateaudeChambord": "castle, chateau",
    "explore_monuments/resource/france/chateaudeChenonceau": "castle, chateau",
    "explore_monuments/resource/france/citedeCarcassonne": "castle, fortress",
    "explore_monuments/resource/france/eiffelTower": "eiffel tower, tower",
    "explore_monuments/resource/france/montStMichel": "castle, abbey",
    "explore_monuments/resource/france/palaisdesPapes": "castle, palace",
    "explore_monuments/resource/france/pontduGard": "aqueduct, bridge",
    "explore_monuments/resource/france/reimsCathedral": "cathedral, church",
    "explore_monuments/resource/france/rocamadour": "village, cliff",
    "explore_monuments/resource/germany/berlinCathedral": "cathedral, church",
    "explore_monuments/resource/germany/brandenburgGate": "gate, brandenburg gate",
    "explore_monuments/resource/germany/neuschwansteinCastle": "castle",
    "explore_monuments/resource/germany/schwerinPalace": "castle, palace",
    "explore_monuments/resource/germany/trierImperialBaths": "ruins",
    "explore_monuments/resource/germany/wormsCathedral": "cathedral, church",
    "explore_monuments/resource/usa/canyondeChelly": "canyon, desert",
    "explore_monuments/resource/usa/castillodeSanMarcos": "castle, fortress",
    "explore_monuments/resource/usa/castleClinton": "fortress",
    "explore_monuments/resource/usa/fortSumter": "fortress",
    "explore_monuments/resource/usa/lincolnMemorial": "greek temple, memorial",
    "explore_monuments/resource/usa/mountRushmore": "mount rushmore",
    "explore_monuments/resource/usa/navajo": "ruins, cliff dwellings",
    "explore_monuments/resource/usa/statueofLiberty": "statue of liberty, statue",
    "explore_monuments/resource/egypt/bentPyramid": "pyramid",
    "explore_monuments/resource/egypt/greatPyramidOfGiza": "pyramid",
    "explore_monuments/resource/egypt/meidumPyramid": "pyramid",
    "explore_monuments/resource/egypt/redPyramid": "pyramid",
    "explore_world_animals/resource/animals/bison": "bison, buffalo",
    "explore_world_animals/resource/animals/chameleon": "chameleon, lizard",
    "explore_world_animals/resource/animals/crocodile": "crocodile",
    "explore_world_animals/resource/animals/dragon": "lizard, komodo dragon",
    "explore_world_animals/resource/animals/giraffe": "giraffe",
    "explore_world_animals/resource/animals/hedgehog": "hedgehog",
    "explore_world_animals/resource/animals/jaguar": "leopard, jaguar",
    "explore_world_animals/resource/animals/kangaroo": "kangaroo",
    "explore_world_animals/resource/animals/koala": "koala",
    "explore_world_animals/resource/animals/lemur": "lemur",
    "explore_world_animals/resource/animals/moose": "moose",
    "explore_world_animals/resource/animals/narwhal": "narwhal",
    "explore_world_animals/resource/animals/panda": "panda",
    "explore_world_animals/resource/animals/polar_bear": "polar bear",
    "explore_world_animals/resource/animals/scarlet_macaw": "parrot, macaw",
    "explore_world_music/resource/music/africa": "drum, drums",
    "explore_world_music/resource/music/japan": "drum, taiko drum",
    "explore_world_music/resource/music/middleeast": "lute",
    "explore_world_music/resource/music/orchestra": "orchestra",
    "solar_system/resource/mercury": "planet, mercury",
    "solar_system/resource/venus": "planet, venus",
    "solar_system/resource/earth": "earth, globe",
    "solar_system/resource/mars": "planet, mars",
    "solar_system/resource/jupiter": "planet, jupiter",
    "solar_system/resource/saturn": "ringed planet, saturn",
    "solar_system/resource/uranus": "planet, uranus",
    "solar_system/resource/neptune": "planet, neptune",
    "solar_system/resource/sun": "sun",
}
"""What the pictures show, by their path, with or without its number; the first is the concept."""

_LEFT_OUT_OF_5 = 3
"""One maker of five is left out: whose names' check sums leave this."""


@dataclass(frozen=True)
class Photograph:
    """One picture, whole or cut out, with what its README says of it."""

    image: Image.Image
    names: list[str]
    """The concept first."""
    path: str
    """In GCompris' sources."""
    maker: str
    licence: str
    source: str
    """Its address, where it is said."""

    @property
    def is_left_out(self) -> bool:
        """Whether no training sees it: one of five makers."""
        return zlib.crc32(self.maker.encode()) % 5 == _LEFT_OUT_OF_5


def photographs(resources: Path) -> Iterator[Photograph]:
    """Those in a folder of Qt resource files."""
    for path in sorted(resources.glob("*.rcc")):
        files = unpack(path.read_bytes())
        for readme in sorted(name for name in files if name.name.startswith("README")):
            for stanza in re.split(r"\n\s*\n", files[readme].decode(errors="replace")):
                yield from _described(stanza, readme.parent, files)


def _described(
    stanza: str, folder: PurePosixPath, files: dict[PurePosixPath, bytes]
) -> Iterator[Photograph]:
    """The pictures that a README's stanza names, if its licence is one of those taken."""
    fields: dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        found = _FIELD.match(line)
        if found:
            key = found[1].rstrip("s")
        fields[key] = f"{fields.get(key, '')} {found[2] if found else line.strip()}".strip()
    licence = fields.get("License", "")
    if not _LICENCES.match(licence):
        return
    for file in fields.get("File", "").split():
        path = folder / file
        relative = path.relative_to(*path.parts[:3]) if len(path.parts) > 3 else path
        stem = str(relative.with_suffix(""))
        told = THINGS.get(stem) or THINGS.get(stem.rstrip("0123456789"))
        if told is None or path not in files or path.suffix not in (".webp", ".png", ".jpg"):
            continue
        image = Image.open(io.BytesIO(files[path])).convert("RGBA")
        if image.width > 1.5 * image.height and image.getchannel("A").getextrema()[0] == 0:
            # Two stages of a movement, side by side.
            image = image.crop((0, 0, image.width // 2, image.height))
        maker, source = fields.get("Copyright", ""), fields.get("Source", "")
        yield Photograph(image, told.split(", "), str(relative), maker, licence, source)


def unpack(data: bytes) -> dict[PurePosixPath, bytes]:
    """The files of a Qt resource file, by their paths, as Qt's `rcc` writes it with zlib."""
    magic, version, tree, content, names = struct.unpack(">4sIIII", data[:20])
    if magic != b"qres":
        raise ValueError("not a Qt resource file: it does not begin with 'qres'")
    size = 22 if version >= 2 else 14
    files: dict[PurePosixPath, bytes] = {}

    def visit(number: int, parent: PurePosixPath) -> None:
        name, flags, first, second = struct.unpack_from(">IHII", data, tree + number * size)
        (length,) = struct.unpack_from(">H", data, names + name)
        text = data[names + name + 6 : names + name + 6 + 2 * length].decode("utf-16-be")
        path = parent / text if number else parent
        if flags & 2:
            for child in range(second, second + first):
                visit(child, path)
            return
        (length,) = struct.unpack_from(">I", data, content + second)
        packed = data[content + second + 4 : content + second + 4 + length]
        if flags & 1:
            packed = zlib.decompress(packed[4:])
        files[path] = packed

    visit(0, PurePosixPath())
    return files
