"""Pages: a payload and a folder of ES modules -> one HTML file that opens without network and without a build step.

`pages/` holds a folder for each page, whose entry module has the folder's name, and `base/` for what pages share.
"""

from setpiece.web.render import render

__all__ = ["render"]
