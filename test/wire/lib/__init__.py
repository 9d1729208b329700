# SPDX-License-Identifier: AGPL-3.0-or-later
"""Frames in, frames expected: what the wire tests are made of."""
