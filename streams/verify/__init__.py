"""An independent batch recomputation of a namespace, and its comparison with what is stored.

verify(kafka, mongo, redis, namespace, settings, calendar, counts, progress) -> Report
compare_namespaces(kafka, mongo, redis, (one, other), counts_of, progress) -> Comparison

It shares no code with streams.core but the market calendar and the facts of contracts.
"""

from optionstream.streams.verify.against import Comparison
from optionstream.streams.verify.ledger import Counts
from optionstream.streams.verify.report import Difference, Report
from optionstream.streams.verify.run import Progress, compare_namespaces, verify

__all__ = [
    "Comparison",
    "Counts",
    "Difference",
    "Progress",
    "Report",
    "compare_namespaces",
    "verify",
]
