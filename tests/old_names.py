"""The names that parameters of `sprint` had in checkpoints of format 1."""

OLD_NAMES = {
    "hybrid_encoder.": "fusion.",
    ".deformable_attention_norm.": ".sampling_norm.",
    ".deformable_attention.": ".sampling.",
    ".relation_embedding.": ".twin.",
}


def old_name(name):
    for new, old in OLD_NAMES.items():
        name = name.replace(new, old)
    return name
