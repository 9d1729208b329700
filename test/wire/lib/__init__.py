# SPDX-License-Identifier: AGPL-3.0-or-later
"""Modules for the wire tests, which send frames and check the answers."""
