"""SMB 2 and 3: file shares that let in who has no name. `docs/smb.md` is its page.

wire       messages, sans-IO
statuses   what a status code means to us
session    one connection: negotiation, session, requests within the credits granted
listing    the shares of a server
tree       a share as a tree of files
jobs       what is asked, one connection a job
verdicts   what the answers mean
probe      the protocol
"""
