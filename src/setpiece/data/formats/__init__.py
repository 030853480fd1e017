"""COCO, YOLO and Pascal VOC folders -> annotations."""
