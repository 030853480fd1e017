"""What is wrong with a data set, or unusual: `setpiece doctor`.

Read in this order: `finding` (what a check says), `survey` (what the checks look at), then the checks by family:
`files` (what the readers met), `boxes`, `classes`, `splits`, `pixels`; `kinds` (their names) and `examination`, which
runs them.
"""

from setpiece.data.checks.examination import Examination, examine
from setpiece.data.checks.finding import Finding, Severity
from setpiece.data.checks.kinds import KINDS
from setpiece.data.checks.survey import Settings

__all__ = ["KINDS", "Examination", "Finding", "Settings", "Severity", "examine"]
