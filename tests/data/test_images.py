from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from setpiece.data import read_image
from setpiece.data.images import TooLargeError, exif_orientation, has_frames, read_header
from setpiece.errors import DataError

# Red left of green, over two rows of blue.
PIXELS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 0, 255]], [[0, 0, 255], [0, 0, 255]]], np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_colours_survive_every_mode_that_has_them(tmp_path, mode):
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PIXELS)


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_greyscale_becomes_three_equal_channels(tmp_path, mode):
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (3, 2, 3)
    assert (image == image[..., :1]).all()


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red, green, blue = read_image(tmp_path / "a.jpg")[4, 4]
    assert red > 200 > 60 > max(green, blue)


def test_sixteen_bits_are_reduced_to_eight(tmp_path):
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected", "spread"),
    [
        (np.array([[1000, 1500, 2000]], np.uint16), [0, 128, 255], True),  # 12 bits
        (np.array([[0, 8191, 16383]], np.uint16), [0, 127, 255], True),  # 14 bits
        (np.array([[0, 0, 40000]], np.uint16), [0, 0, 155], False),
        (np.array([[700, 700, 700]], np.uint16), [2, 2, 2], False),  # one grey has no range
        (np.array([[-1000, 0, 1000]], np.int32), [0, 128, 255], True),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255], False),
        (np.array([[0.0, 0.2, 0.4]], np.float32), [0, 51, 102], False),
        (np.array([[0.0, 100, 255]], np.float32), [0, 100, 255], False),
        (np.array([[0.01, 0.02, 0.03]], np.float32), [0, 128, 255], True),
        (np.array([[-5.0, 0, 5]], np.float32), [0, 128, 255], True),
        (np.array([[np.nan, 2, 6]], np.float32), [0, 0, 255], True),
        (np.array([[np.nan, np.nan, np.nan]], np.float32), [0, 0, 0], False),
    ],
)
def test_deep_greys_are_spread_where_they_do_not_use_their_range(tmp_path, values, expected, spread):
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.abs(read_image(tmp_path / "a.tif")[0, :, 0].astype(int) - expected).max() <= 1
    assert read_header(tmp_path / "a.tif").spread == spread


@pytest.mark.parametrize("offset", [32768, 40000, 65535 - 2040])
def test_deep_greys_around_an_offset_are_spread_by_the_range_that_they_use(tmp_path, offset):
    values = np.linspace(offset, offset + 2040, 48).reshape(6, 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "ct.png")
    greys = read_image(tmp_path / "ct.png")
    assert (greys.min(), greys.max()) == (0, 255)
    assert read_header(tmp_path / "ct.png").spread


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("alpha", [0, 1])
def test_transparency_that_would_hide_the_whole_image_is_not_used(tmp_path, mode, alpha):
    image = Image.fromarray(PIXELS).convert(mode)
    opaque = np.asarray(image.convert("RGB"))
    image.putalpha(alpha)
    image.save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), opaque)
    assert read_header(tmp_path / "alpha.png").invisible


def png_of_sixteen_bits(pixels):
    """A PNG file of RGB in 16 bits, which Pillow reads and does not write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("least", "greatest", "dark"), [(0, 4095, True), (0, 16383, True), (0, 60000, False), (40000, 44095, True)]
)
def test_deep_colours_that_become_nearly_one_colour_are_found(tmp_path, least, greatest, dark):
    (tmp_path / "a.png").write_bytes(png_of_sixteen_bits(np.linspace(least, greatest, 8 * 9 * 3).reshape(8, 9, 3)))
    assert read_header(tmp_path / "a.png").dark == dark
    assert read_image(tmp_path / "a.png").max() == greatest // 256


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as the module itself has it
def test_an_image_of_too_many_pixels_is_named_with_their_number(tmp_path, monkeypatch):
    Image.new("L", (3000, 2000)).save(tmp_path / "scan.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000_000)
    assert read_header(tmp_path / "scan.png").stored_size == (2000, 3000)  # Pillow warns of it, and reads it
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000_000)
    for read in (read_header, read_image):
        with pytest.raises(TooLargeError, match=r"scan\.png has 6 megapixels, and up to 4 are read: make it smaller"):
            read(tmp_path / "scan.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_image_that_is_damaged_in_the_middle_is_found_though_its_end_is_there(tmp_path, write_image, suffix):
    path = write_image(tmp_path / f"a{suffix}", (200, 150))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = b"\xff\xc1" * 20
    path.write_bytes(content)
    header = read_header(path)
    assert (header.broken, header.truncated) == (True, False)
    with pytest.raises(DataError, match=f"a{suffix} cannot be decoded"):
        read_image(path)


def test_transparency_is_laid_over_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (0, 0, 255, 0))
    image.putpixel((1, 0), (0, 0, 255, 255))
    image.save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png").tolist() == [[[255, 255, 255], [0, 0, 255]]]
    assert not read_header(tmp_path / "alpha.png").invisible
    palette = Image.fromarray(PIXELS).convert("P")
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((0, 0)))
    assert read_image(tmp_path / "palette.png")[0].tolist() == [[255, 255, 255], [0, 255, 0]]


# What a camera stores so that the EXIF orientation shows PIXELS: the inverse of what a viewer applies.
STORED = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.swapaxes(0, 1),
    6: np.rot90(PIXELS, 1),
    7: PIXELS[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(PIXELS, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_undone(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation])
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    header = read_header(tmp_path / "a.png")
    assert header.upright_size == (3, 2)
    assert header.stored_size == stored.shape[:2]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PIXELS)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", upright=False), stored)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_read_at_a_part_of_its_size_where_that_is_large_enough(tmp_path, orientation):
    rows, columns = np.mgrid[0:600, 0:800]
    pixels = np.stack([rows // 3, columns // 4, (rows + columns) // 7], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.jpg", "a.png"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    whole, part = (read_image(tmp_path / "a.jpg", least=least) for least in (301, 300))
    assert whole.shape == read_image(tmp_path / "a.jpg").shape
    assert part.shape == ((300, 400, 3) if orientation == 1 else (400, 300, 3))
    assert np.abs(whole.reshape(part.shape[0], 2, part.shape[1], 2, 3).mean((1, 3)) - part).mean() < 1
    assert read_image(tmp_path / "a.png", least=100).shape == whole.shape


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_damaged_exif_data_turn_nothing(tmp_path, suffix):
    Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0garbage_garbage", dpi=(72, 72))
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert exif_orientation(image) == 1
    assert read_image(tmp_path / f"a{suffix}").shape == PIXELS.shape


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".gif", ".tif"])
def test_a_truncated_image_is_found_and_named(tmp_path, write_image, suffix):
    path = write_image(tmp_path / f"a{suffix}")
    assert not read_header(path).truncated
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    try:
        assert read_header(path).truncated
    except DataError:
        assert suffix in (".webp", ".tif")  # formats whose header needs the end of the file
    with pytest.raises(DataError, match=f"a{suffix}"):
        read_image(path)


def test_a_whole_jpeg_with_something_behind_it_is_not_truncated(tmp_path, write_image):
    path = write_image(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"a camera's trailer" * 10)
    assert not read_header(path).truncated


@pytest.mark.parametrize("content", [b"", b"a text file", b"\xff\xd8\xff"])
def test_what_is_no_image_is_named(tmp_path, content):
    (tmp_path / "notes.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.jpg cannot be read as an image"):
        read_image(tmp_path / "notes.jpg")


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg does not exist"):
        read_image(tmp_path / "gone.jpg")


def encoded(suffix, mode):
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, Image.registered_extensions()[suffix])
    return file.getvalue()


WHOLE = [encoded(*kind) for kind in ((".jpg", "RGB"), (".png", "RGB"), (".png", "P"), (".tif", "F"), (".bmp", "RGB"))]
WHOLE += [encoded(*kind) for kind in ((".gif", "P"), (".webp", "RGB"), (".tif", "RGB"), (".tif", "L"), (".jp2", "RGB"))]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=3))
def test_a_damaged_file_that_is_not_found_when_it_is_checked_can_be_decoded(content, damages):
    damaged = bytearray(content)
    for place, inserted in damages:
        start = int(place * len(content))
        damaged[start : start + len(inserted)] = inserted
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.jpg")
        path.write_bytes(damaged)
        try:
            header = read_header(path)
        except DataError:
            return
        if not header.truncated and not header.broken:
            assert read_image(path, upright=False).shape == (*header.stored_size, 3)


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp"])
def test_the_pages_behind_the_first_are_counted(tmp_path, suffix):
    pages = [Image.new("RGB", (8, 8), (index * 60, 0, 0)) for index in range(3)]
    pages[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pages[1:])
    assert read_header(tmp_path / f"a{suffix}").pages == 3
    assert read_image(tmp_path / f"a{suffix}").max() <= 4
    pages[0].save(tmp_path / f"b{suffix}")
    assert read_header(tmp_path / f"b{suffix}").pages == 1
    for name, several in (("a", True), ("b", False)):
        with Image.open(tmp_path / f"{name}{suffix}") as image:
            assert has_frames(image) == several


def test_a_photo_with_a_preview_has_no_frames(tmp_path):
    photo = Image.fromarray(PIXELS)
    photo.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[photo])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
        assert not has_frames(image)
    assert read_header(tmp_path / "a.jpg").pages == 1


def test_a_folder_in_the_place_of_an_image_is_called_a_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder, and not an image: name the images in it"):
        read_image(tmp_path)
