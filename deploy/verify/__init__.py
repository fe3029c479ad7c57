"""An independent batch recomputation of a namespace, and its comparison with what is stored.

verify(kafka, mongo, redis, namespace, settings, calendar, counts, progress) -> Report
compare_namespaces(kafka, mongo, redis, (one, other), counts_of, progress) -> Comparison

It shares no code with streams.core but the market calendar and the facts of contracts.
"""

from optionstream.deploy.verify.against import Comparison
from optionstream.deploy.verify.differences import Difference
from optionstream.deploy.verify.ledger import Counts
from optionstream.deploy.verify.report import Report
from optionstream.deploy.verify.run import Progress, compare_namespaces, verify

__all__ = [
    "Comparison",
    "Counts",
    "Difference",
    "Progress",
    "Report",
    "compare_namespaces",
    "verify",
]
