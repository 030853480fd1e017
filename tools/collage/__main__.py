"""Draw pictures to pretrain a small detector on, as a COCO data set.

    python tools/collage OUT --photos FOLDER ... --images 8000 --seed 0

OUT is a new folder. A folder of photographs may hold a `labels.json`, {"file name": "class", ...}: what it names is cut
out as an object, and all photographs serve as backgrounds and textures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Python looks for modules in the folder that it runs, tools/collage, but the files in there are modules of the package
# `collage`. With tools/ on the path, too, they are imported here as they are in the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collage.kinds import classes
from collage.photos import load_album
from collage.write import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    album = load_album(given.photos)
    print(f"{len(album.photos)} photographs, {len(classes(album))} classes", flush=True)
    write(given.out, album, given.images, given.seed, given.processes)


if __name__ == "__main__":
    main()
