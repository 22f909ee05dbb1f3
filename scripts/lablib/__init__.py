# SPDX-License-Identifier: GPL-2.0-only
"""Rooms of scripts/lab: kernels, initramfs, QEMU, kernel log reports."""
