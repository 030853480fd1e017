"""The paper's formulas with plain loops over layers, images and permutations: slow, and read beside the paper.

Gradients come from autograd over these scalar formulas, so they share nothing with the implementation under test.
"""

import itertools
import math

import torch


def giou(a, b):
    """Algorithm 1 of the GIoU paper, for two cxcywh boxes; returns (IoU, GIoU)."""
    ax1, ay1, ax2, ay2 = a[0] - a[2] / 2, a[1] - a[3] / 2, a[0] + a[2] / 2, a[1] + a[3] / 2
    bx1, by1, bx2, by2 = b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2
    width, height = torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1), torch.minimum(ay2, by2) - torch.maximum(ay1, by1)
    intersection = width * height if width > 0 and height > 0 else torch.zeros((), dtype=a.dtype)
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - intersection
    hull = (torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1)) * (torch.maximum(ay2, by2) - torch.minimum(ay1, by1))
    return intersection / union, intersection / union - (hull - union) / hull


def l1(a, b):
    return sum(abs(a[i] - b[i]) for i in range(4))


def cost_of_pair(logits, box, label, target_box, form):
    """The matching cost of one pair with the default weights: 1, 5, 2 (softmax) and 2, 5, 2 (sigmoid)."""
    if form == "softmax":
        class_cost = -(logits[label].exp() / logits.exp().sum())
    else:
        p = 1 / (1 + (-logits[label]).exp())
        class_cost = 2 * (-0.25 * (1 - p) ** 2 * p.log() + 0.75 * p**2 * (1 - p).log())
    return class_cost + 5 * l1(target_box, box) - 2 * giou(target_box, box)[1]


def brute_force(cost):
    """All injections of the smaller side into the larger, best total; cost is a list of rows (T) of columns (Q)."""
    T, Q = len(cost), len(cost[0]) if cost else 0
    if T == 0 or Q == 0:
        return 0.0
    if T <= Q:
        return min(
            math.fsum(cost[t][q] for t, q in enumerate(chosen)) for chosen in itertools.permutations(range(Q), T)
        )
    return min(math.fsum(cost[t][q] for q, t in enumerate(chosen)) for chosen in itertools.permutations(range(T), Q))


def best_pairs(cost):
    """The pairs (t, q) of the optimum found by trying every permutation."""
    T, Q = len(cost), len(cost[0])
    if T <= Q:
        options = [list(enumerate(chosen)) for chosen in itertools.permutations(range(Q), T)]
    else:
        options = [[(t, q) for q, t in enumerate(chosen)] for chosen in itertools.permutations(range(T), Q)]
    return min(options, key=lambda pairs: sum(float(torch.as_tensor(cost[t][q]).detach()) for t, q in pairs))


def hungarian_loss(logits, boxes, targets, form):
    """Equation 2 of the DETR paper on every layer; `targets` is a list of {"labels", "boxes"}."""
    L, B, Q, K = logits.shape
    count = max(sum(len(target["labels"]) for target in targets), 1)
    total = torch.zeros((), dtype=logits.dtype)
    for layer in range(L):
        nll, weights, l1_sum, giou_sum = 0, 0, 0, 0
        for image in range(B):
            labels, target_boxes = targets[image]["labels"].tolist(), targets[image]["boxes"]
            cost = [
                [cost_of_pair(logits[layer, image, q], boxes[layer, image, q], c, box, form) for q in range(Q)]
                for c, box in zip(labels, target_boxes, strict=True)
            ]
            pairs = {q: t for t, q in best_pairs(cost)} if cost else {}
            for q in range(Q):
                z = logits[layer, image, q]
                t = pairs.get(q)
                if t is not None:
                    iou, generalised = giou(target_boxes[t], boxes[layer, image, q])
                    l1_sum = l1_sum + l1(target_boxes[t], boxes[layer, image, q])
                    giou_sum = giou_sum + 1 - generalised
                if form == "softmax":
                    c, w = (K - 1, 0.1) if t is None else (labels[t], 1.0)
                    nll = nll - w * (z[c] - z.exp().sum().log())
                    weights += w
                else:
                    for c in range(K):
                        p = 1 / (1 + (-z[c]).exp())
                        if t is not None and c == labels[t]:
                            quality = iou.detach() ** 1.5
                            nll = nll - quality * p.log() - (1 - quality) * (1 - p).log()
                        else:
                            nll = nll - 0.75 * p.detach() ** 1.5 * (1 - p).log()
        class_term = nll / (weights if form == "softmax" else count)
        total = total + class_term + 5 * l1_sum / count + 2 * giou_sum / count
    return total
