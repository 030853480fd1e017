"""The tour as a file."""

import pytest

from setpiece.errors import UsageError
from setpiece.explain.tour import tour_payload, write_tour
from setpiece.web import render


def test_the_file_is_written_whole_and_a_missing_folder_is_refused(tmp_path):
    write_tour(tmp_path / "tour.html")
    assert (tmp_path / "tour.html").read_text(encoding="utf-8") == render(tour_payload())
    with pytest.raises(UsageError, match=r"nowhere.*folder that exists"):
        write_tour(tmp_path / "nowhere" / "tour.html")
