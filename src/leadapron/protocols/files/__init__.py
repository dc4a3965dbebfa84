"""Folders of files, wherever they lie: one walk, one count and one census for all doors that open on such a tree."""
