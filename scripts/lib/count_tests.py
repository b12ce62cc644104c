#!/usr/bin/env python3
"""Prints how many tests of a JUnit file, ctest's or pytest's, passed, failed and were skipped."""

import sys
from collections import Counter

from junitparser import JUnitXml, Skipped, TestSuite


def outcome(case):
    # ctest calls a test that it could not run skipped too; one that skips says so (SKIP_RETURN_CODE, …).
    status = case._elem.get("status")  # ctest's alone
    skips = [result for result in case.result if isinstance(result, Skipped)]
    if len(skips) < len(case.result) or (
            status == "notrun" and not all(skip.message.startswith("SKIP_") for skip in skips)):
        return "failed"
    return "skipped" if skips or status == "disabled" else "passed"


file = JUnitXml.fromfile(sys.argv[1])
suites = [file] if isinstance(file, TestSuite) else file
counts = Counter(outcome(case) for suite in suites for case in suite)
print(counts["passed"], counts["failed"], counts["skipped"])
