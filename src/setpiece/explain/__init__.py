"""Who was matched with whom, at what cost, and what it taught: computed by `setloss`, shown in a page.

Read in this order: `facts` (one image's match, costs, losses and gradients), `findings` (the same in sentences),
`payload` (facts as the page reads them), `explanation` (what a user holds). `setpiece.web` draws the page.
"""

from setpiece.explain.explanation import Explanation, explain_outputs, explain_samples
from setpiece.explain.tour import write_tour

__all__ = ["Explanation", "explain_outputs", "explain_samples", "write_tour"]
