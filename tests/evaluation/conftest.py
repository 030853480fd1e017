"""Import supervision once without its recommendation of OpenCV, which would be an error here."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "OpenCV", UserWarning)
    import supervision  # noqa: F401
