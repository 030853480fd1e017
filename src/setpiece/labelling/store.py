"""The labels on disk: a COCO file, its journal, and a lock. A change is in both files before `change` returns.

```
_annotations.coco.json   all labels, always whole
journal.jsonl            every change with what was before it
lock, server.json        held while a server runs; where the last one is, or was
```
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from setpiece.atomic import write_whole
from setpiece.errors import DataError, OutputError, UsageError
from setpiece.labelling.coco_file import LABELS, CocoFile, read_saved
from setpiece.labelling.history import History
from setpiece.labelling.journal import Entry, Journal
from setpiece.labelling.labels import Change, LabelledImage, Labels, Marks

__all__ = ["Store", "last_address", "locked"]

JOURNAL, LOCK, SERVER = "journal.jsonl", "lock", "server.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second server from a folder, until this process ends or is killed; the folder is made.

    Raises:
        UsageError: another server has it; the sentence says where that is.
        OutputError: the folder cannot be written to.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        where = ""
        if address := last_address(folder):
            where = f" at {address}"
        raise UsageError(
            f"Another server labels into {folder}{where}: open that one, end it, or give another --output."
        ) from error
    except OSError as error:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: give --output a folder.") from error
        raise OutputError(f"{folder} could not be locked ({error.strerror or error}).") from error
    try:
        yield
    finally:
        lock.release()


def last_address(folder: Path) -> str | None:
    """Where the server of a folder is, or was; None where that is not known."""
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads((folder / SERVER).read_bytes())["address"])
    return None


class Store:
    """The labels of a folder of photos, read from disk, with what the journal has beyond the COCO file.

    Args:
        folder: of the labels; `locked` while this is used.
        photos: the folder of photos.

    Attributes:
        labels: as they are; changed by the methods alone.
        history: what can be undone.
        is_new: whether the folder held no labels.

    Raises:
        UsageError: the folder holds something else, or the labels of other photos.
        DataError: a file is damaged or missing.
    """

    def __init__(self, folder: Path, photos: Path) -> None:
        self.folder, self.photos = folder, photos.resolve()
        saved = read_saved(folder / LABELS)
        self.is_new = saved is None
        self._journal = Journal(folder / JOURNAL)
        self._file = CocoFile(folder / LABELS, self.photos)
        self.history = History()
        self.labels = Labels()
        if saved is None:
            self._refuse_other_use()
            return
        if saved.photos != self.photos and saved.photos.exists():
            raise UsageError(
                f"{folder} holds the labels of {saved.photos}, and not of {photos}: give another --output."
            )
        self.labels = saved.labels
        behind = 0
        entries = self._journal.read()
        if entries and entries[0].sequence > saved.sequence + 1:
            raise DataError(f"{folder / JOURNAL} lacks changes that {LABELS} beside it does not have: restore it.")
        for entry in entries:
            self.labels.remember(entry.change)
            if entry.sequence > saved.sequence:
                self.labels.apply(entry.change)
                behind += 1
            self.history.add(entry)
        if self.history.sequence == 0:  # the journal was removed: nothing can be undone, and the labels are there
            self.history.sequence = saved.sequence
        if self.history.sequence < saved.sequence:
            raise DataError(
                f"{folder / JOURNAL} has fewer changes than {LABELS} beside it: restore it, or remove it to go on."
            )
        if behind:
            self._file.write(self.labels, self.history.sequence)

    def _refuse_other_use(self) -> None:
        ours = {LOCK, SERVER, f".{LABELS}.unfinished"}  # what a process leaves that was killed in its first moment
        if (self.folder / JOURNAL).exists():
            raise DataError(f"{self.folder} has a journal and no {LABELS}: restore that, or give another --output.")
        if other := sorted(path.name for path in self.folder.iterdir() if path.name not in ours):
            raise UsageError(f"{self.folder} holds something else ({other[0]}): give another --output.")

    def say_where(self, address: str) -> None:
        """Leave the address of the server for those who try to start a second one."""
        write_whole(self.folder / SERVER, json.dumps({"address": address}))

    def change(self, change: Change) -> None:
        """Make a change; when this returns, it is on disk.

        Raises:
            OutputError: it cannot be written; nothing is changed.
        """
        if change.images or change.classes is not None:
            self._make(Entry(self.history.sequence + 1, time.time(), change))

    def undo(self) -> Change | None:
        """Take the last change back and return it; None where there is none. Raises what `change` raises."""
        if (last := self.history.to_undo()) is None:
            return None
        self._make(Entry(self.history.sequence + 1, time.time(), last[1].reversed(), undoes=last[0]))
        return last[1]

    def redo(self) -> Change | None:
        """Make the change again that was taken back last, and return it; None where there is none."""
        if (last := self.history.to_redo()) is None:
            return None
        self._make(Entry(self.history.sequence + 1, time.time(), last[1], redoes=last[0]))
        return last[1]

    def add_images(self, files: Iterable[tuple[str, int, int, tuple[int, int], Marks]]) -> list[LabelledImage]:
        """Take in photos, see `Labels.new_images`. That is no step which can be undone.

        Raises:
            OutputError: it cannot be written; they are not taken in.
        """
        classes = self.labels.classes
        added = self.labels.new_images(files)
        try:
            self.save()
        except OutputError:
            for image in added:
                del self.labels.images[image.id]
            self.labels.classes = classes
            raise
        return added

    def save(self) -> None:
        """Write the COCO file, after what is no step: photos that came or changed.

        Raises:
            OutputError: it cannot be written.
        """
        self._file.write(self.labels, self.history.sequence)

    def _make(self, entry: Entry) -> None:
        self._journal.append(entry)
        was = {id: (self.labels.images[id].marks, self.labels.images[id].revision) for id in self.labels.images}
        classes = self.labels.classes
        self.labels.apply(entry.change)
        try:
            self._file.write(self.labels, entry.sequence)
        except OutputError:
            for id, (marks, revision) in was.items():
                self.labels.images[id].marks, self.labels.images[id].revision = marks, revision
            self.labels.classes = classes
            self._journal.take_back()
            raise
        self.history.add(entry)
