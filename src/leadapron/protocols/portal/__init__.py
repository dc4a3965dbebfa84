"""Viewers and portals over HTTP: whether the page that lists studies is open, or asks for a login, and for which."""
