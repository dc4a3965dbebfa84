"""SMB 2 and 3 on the wire, sans-IO: the small part that a stranger needs, who neither signs nor encrypts.

    frame        messages on direct TCP ([MS-SMB2] 2.1), and the chain of a compounded one
    header       the header, commands, status codes
    negotiate    dialects, capabilities; the SMB 1 greeting
    setup        a session: SPNEGO around NTLMSSP, with an empty name
    share        trees: which share, what may be done there
    file         open, list, read, close
    rpc          one remote procedure call over a pipe ([C706] chapter 12)
    srvsvc       the list of shares ([MS-SRVS] 3.1.4.8)

Decoders raise `leadapron.errors.WireError` and nothing else. What they hand out of a peer's names are raw bytes.
"""
