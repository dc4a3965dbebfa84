"""Lead Apron: finds exposed medical imaging servers in an authorised scope, and proves it with numbers only.

`pipeline.py` is the map: scope → gate → discover → identify → assess → judge → store → report.
"""

__version__ = "0.1.0"
