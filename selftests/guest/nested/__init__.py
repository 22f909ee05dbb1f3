# SPDX-License-Identifier: GPL-2.0-only
"""Parts that drive a nested guest: its VMM, its serial line, its network, what it costs."""
