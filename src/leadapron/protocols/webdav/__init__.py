"""Folders that a web server opens over WebDAV (RFC 4918): listed by PROPFIND, read by GET. Nothing is ever written."""
