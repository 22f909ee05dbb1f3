# SPDX-License-Identifier: GPL-2.0-only
"""The benchmarks' driver, and the writer of their report."""
