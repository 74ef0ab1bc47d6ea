"""A hostile but valid workload, seeded: the same arguments give the same records, to the byte."""

from stream.workload.plan import Plan
from stream.workload.records import Produced, Workload, workload

__all__ = ["Plan", "Produced", "Workload", "workload"]
