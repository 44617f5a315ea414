"""Trains stock nnU-Net v2 by a Counterweight snapshot, without a fork and without site-packages.

Symbols and section numbers are those of METHOD.md, the page that the service is written from too.
"""

__version__ = "0.1.0"
