"""Status codes of a server ([MS-ERREF] 2.3) as our reasons."""

from __future__ import annotations

from leadapron.model import Reason

_CODES: dict[Reason, tuple[int, ...]] = {
    Reason.AUTH: (
        0xC0000022,  # ACCESS_DENIED
        0xC0000061,  # PRIVILEGE_NOT_HELD
        0xC0000064,  # NO_SUCH_USER
        0xC000006A,  # WRONG_PASSWORD
        0xC000006D,  # LOGON_FAILURE
        0xC000006E,  # ACCOUNT_RESTRICTION
        0xC000006F,  # INVALID_LOGON_HOURS
        0xC0000070,  # INVALID_WORKSTATION
        0xC0000071,  # PASSWORD_EXPIRED
        0xC0000072,  # ACCOUNT_DISABLED
        0xC00000CA,  # NETWORK_ACCESS_DENIED
        0xC000015B,  # LOGON_TYPE_NOT_GRANTED
        0xC0000193,  # ACCOUNT_EXPIRED
        0xC0000224,  # PASSWORD_MUST_CHANGE
        0xC0000234,  # ACCOUNT_LOCKED_OUT
    ),
    Reason.EMPTY: (
        0xC000000F,  # NO_SUCH_FILE
        0xC0000033,  # OBJECT_NAME_INVALID
        0xC0000034,  # OBJECT_NAME_NOT_FOUND
        0xC000003A,  # OBJECT_PATH_NOT_FOUND
        0xC0000056,  # DELETE_PENDING
        0xC00000BA,  # FILE_IS_A_DIRECTORY
        0xC00000CC,  # BAD_NETWORK_NAME
        0xC0000103,  # NOT_A_DIRECTORY
        0xC0000123,  # FILE_DELETED
    ),
    Reason.LIMIT: (
        0xC0000017,  # NO_MEMORY
        0xC0000043,  # SHARING_VIOLATION
        0xC0000054,  # FILE_LOCK_CONFLICT
        0xC000009A,  # INSUFFICIENT_RESOURCES
        0xC00000CE,  # TOO_MANY_SESSIONS
        0xC00000D0,  # REQUEST_NOT_ACCEPTED
        0xC000011F,  # TOO_MANY_OPENED_FILES
        0xC0000205,  # INSUFF_SERVER_RESOURCES
    ),
    Reason.ABORTED: (
        0xC0000120,  # CANCELLED
        0xC0000203,  # USER_SESSION_DELETED
        0xC000020C,  # CONNECTION_DISCONNECTED
        0xC000035C,  # NETWORK_SESSION_EXPIRED
        0xC00000C9,  # NETWORK_NAME_DELETED
    ),
    Reason.TIMEOUT: (0xC00000B5,),  # IO_TIMEOUT
    Reason.OUT_OF_SCOPE: (0xC0000257,),  # PATH_NOT_COVERED: it lies on another server, whom we do not follow to
}
_REASONS = {code: reason for reason, codes in _CODES.items() for code in codes}


def reason_of(status: int) -> Reason:
    """Of a status that is no success. PROTOCOL: one that says nothing to us."""
    return _REASONS.get(status, Reason.PROTOCOL)
