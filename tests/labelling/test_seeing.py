"""What the detector sees in photos, large ones too."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from setpiece.data.scenes import draw_scene
from setpiece.inference.predictor import Predictor
from setpiece.labelling.seeing import Seeing
from setpiece.model.zoo import load_head_start


def test_boxes_are_those_of_the_whole_photo_though_a_large_one_is_read_at_a_part_of_its_size(tmp_path):
    checkpoint = load_head_start("sprint-n", ("thing",))
    with torch.no_grad():
        for head in checkpoint.model.class_heads:
            head.bias += 5  # it is sure of something then
    exif = Image.Exif()
    exif[0x0112] = 6
    photo, broken = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(draw_scene(1)[0]).resize((3000, 2000)).save(photo, quality=95, exif=exif)
    broken.write_bytes(photo.read_bytes()[:999])
    seen, nothing = Seeing(checkpoint).look([(photo, (3000, 2000)), (broken, (3000, 2000))])
    assert nothing is None
    [whole] = Predictor(checkpoint, "fp32").predict([photo], threshold=0.05)
    surest = whole.with_nms(0.7, class_agnostic=True)[:5]
    assert surest.xyxy.max() > 1500  # so that another size would be noticed
    for box in surest.xyxy:
        assert np.abs(seen.detections.xyxy - box).max(1).min() < 60
