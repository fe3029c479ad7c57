"""What suites share: servers, namespaces with workers, seeded input, faults, slices of long checks.

Test modules import from here and from other support modules, never from one another.
"""
