"""Web servers and object stores at a granted place that lead elsewhere: the roles of `leading_away` over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

GRANTED, ELSEWHERE = "198.18.0.1", "198.18.0.9"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def led(role: str) -> None:
    """Say that a role said where to go."""
    sys.stdout.write(f"{role}\n")
    sys.stdout.flush()


Fields = dict[str, str]
Answer = tuple[int, Fields, bytes] | None
"""Status, fields, body; None: there is no such thing."""
Site = Callable[[str, str, int], Answer]
"""From a method, a target and the port."""

LOCATIONS = {
    "redirect": "http://{there}/dicom-web/",
    "redirect, relative to the scheme": "//{there}/",
    "redirect, granted user": "http://{here}@{there}/",
    "redirect, granted path": "http://{there}\\@{here}/",
    "redirect, backslashes": "/\\{there}/",
    "redirect, mapped": "http://[::ffff:{elsewhere}]:{port}/",
    "redirect, as a number": "http://3323068425:{port}/",
    "redirect, in hexadecimal": "http://0xC6120009:{port}/",
    "redirect, to TLS": "https://{there}/",
    "redirect, twice": "http://{here}/\r\nLocation: http://{there}/",
}


def page(title: str, body: str, more: str = "") -> bytes:
    return f"<html><head><title>{title}</title>{more}</head><body>{body}</body></html>".encode()


def redirect(location: str) -> Site:
    def site(_method: str, _target: str, port: int) -> Answer:
        where = {"here": f"{GRANTED}:{port}", "there": f"{ELSEWHERE}:{port}", "elsewhere": ELSEWHERE, "port": port}
        return 302, {"Location": location.format(**where)}, b""

    return site


def refreshing(_method: str, target: str, port: int) -> Answer:
    """All that sends a browser elsewhere, or lets it fetch something there."""
    there = f"http://{ELSEWHERE}:{port}"
    fields = {
        "Refresh": f"0; url={there}/",
        "Alt-Svc": f'h2="{ELSEWHERE}:{port}", http/1.1="{ELSEWHERE}:{port}"; ma=86400; persist=1',
        "Link": f"<{there}/a.css>; rel=preload, <{there}>; rel=preconnect",
        "Content-Location": f"{there}/dicom-web/",
        "Content-Security-Policy": f"default-src 'none'; report-uri {there}/report",
        "Service-Worker-Allowed": there,
    }
    head = (
        f'<meta http-equiv="refresh" content="0; url={there}/"><base href="{there}/"><link rel="icon" href="{there}/i">'
        f'<script src="{there}/a.js"></script><link rel="stylesheet" href="{there}/a.css">'
    )
    body = f'<iframe src="{there}/"></iframe><img src="{there}/a.png"><form action="{there}/j_security_check">'
    return (200, fields, page("Orthanc Explorer", body, head)) if target == "/" else None


def listing(_method: str, target: str, port: int) -> Answer:
    """Files and folders elsewhere between those that are here."""
    there = f"{ELSEWHERE}:{port}"
    links = (f"http://{there}/b.dcm", f"//{there}/c/", f"http://{there}/d/", f"http://{GRANTED}@{there}/e.dcm", "a.dcm")
    rows = "\n".join(f'<a href="{link}">{link}</a> 2026-01-01 00:00 132' for link in links)
    if target == "/":
        body = f"<h1>Index of /</h1><pre>{rows}</pre>"
        return 200, {"Content-Type": "text/html"}, page("Index of /", body, f'<base href="http://{there}/">')
    return (302, {"Location": f"http://{there}{target}"}, b"") if target == "/a.dcm" else None


MULTISTATUS = """<?xml version="1.0"?>{type}<D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>"""
RESPONSE = """<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype>
<D:getcontentlength>132</D:getcontentlength></D:prop></D:propstat>{more}</D:response>"""


def webdav(document_type: str = "") -> Site:
    """Hrefs elsewhere, a redirect reference (RFC 4437), and perhaps a document type from elsewhere."""

    def site(method: str, target: str, port: int) -> Answer:
        there = f"{ELSEWHERE}:{port}"
        if method == "OPTIONS":
            return 200, {"DAV": "1, 2, redirectrefs", "Allow": "OPTIONS, PROPFIND"}, b""
        if method != "PROPFIND":
            return 302, {"Location": f"http://{there}{target}"}, b""
        location = f"<D:location><D:href>http://{there}/f</D:href></D:location>"
        hrefs = {"/": "<D:collection/>", f"http://{there}/b.dcm": "", f"//{there}/c/": "<D:collection/>", "/a.dcm": ""}
        rows = [RESPONSE.format(href=href, kind=kind, more=location) for href, kind in hrefs.items()]
        content = MULTISTATUS.format(type=document_type.format(there=there), responses="".join(rows))
        return 207, {"Content-Type": "application/xml", "Redirect-Ref": f"http://{there}/"}, content.encode()

    return site


def qido(_method: str, target: str, port: int) -> Answer:
    """Studies whose RetrieveURL (PS3.18 Table 10.6.3-3) leads elsewhere."""
    if not target.startswith("/dicom-web/studies"):
        return None
    there = f"http://{ELSEWHERE}:{port}/dicom-web/studies/2.25.7"
    study = {
        "0020000D": {"vr": "UI", "Value": ["2.25.7"]},
        "00080054": {"vr": "AE", "Value": ["ELSEWHERE"]},
        "00081190": {"vr": "UR", "Value": [there]},
        "00081188": {"vr": "UR", "Value": [there]},
    }
    fields = {"Content-Type": "application/dicom+json", "Link": f'<{there}>; rel="next"', "Content-Location": there}
    is_beyond = "offset=" in target and "offset=0" not in target
    return 200, fields, json.dumps([] if is_beyond else [study]).encode()


def fhir(_method: str, target: str, port: int) -> Answer:
    """Pages, resources and endpoints elsewhere."""
    there = f"http://{ELSEWHERE}:{port}/fhir"
    resource: dict[str, object]
    if target.startswith("/fhir/metadata"):
        resource = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "implementation": {"url": there}}
    elif target.startswith("/fhir/"):
        links = [{"relation": relation, "url": f"{there}?page=2"} for relation in ("self", "next", "last")]
        study = {"resourceType": "ImagingStudy", "endpoint": [{"reference": f"{there}/Endpoint/1"}]}
        entry = {"fullUrl": f"{there}/ImagingStudy/1", "resource": study, "search": {"mode": "match"}}
        resource = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": [entry]}
    else:
        return None
    return 200, {"Content-Type": "application/fhir+json"}, json.dumps(resource).encode()


def viewer(_method: str, target: str, port: int) -> Answer:
    root = f"http://{ELSEWHERE}:{port}/dicom-web"
    if target == "/ohif/":
        return (
            200,
            {},
            page("OHIF Viewer", '<div id="root"></div>', '<meta name="application-name" content="OHIF Viewer">'),
        )
    config = f"window.config = {{ dataSources: [{{ configuration: {{ qidoRoot: '{root}', wadoRoot: '{root}' }} }}] }};"
    return (200, {}, config.encode()) if target.startswith("/ohif/") and target.endswith(".js") else None


def portal(method: str, target: str, port: int) -> Answer:
    """Oviyam's login, whose answer leads elsewhere."""
    if method == "POST":
        return 302, {"Location": f"http://{ELSEWHERE}:{port}/oviyam2/", "Set-Cookie": "JSESSIONID=1; Path=/"}, b""
    form = '<form action="j_security_check" method="POST"><input name="j_username"><input name="j_password"></form>'
    more = f'<form action="http://{ELSEWHERE}:{port}/j_security_check"></form>'
    is_there = target == "/oviyam2/"
    return (200, {"Set-Cookie": "JSESSIONID=1; Path=/"}, page("Oviyam login", form + more)) if is_there else None


def store(status: int, code: str) -> Site:
    """S3: the bucket lies elsewhere (S3 API Reference, error responses)."""

    def site(_method: str, target: str, port: int) -> Answer:
        there = f"{ELSEWHERE}:{port}"
        error = f"<Error><Code>{code}</Code><Endpoint>{there}</Endpoint><Bucket>scans</Bucket></Error>"
        return status, {"Location": f"http://{there}{target}", "x-amz-bucket-region": there}, error.encode()

    return site


def objects(_method: str, target: str, port: int) -> Answer:
    """S3: keys are here, their content is elsewhere; the next page has a URL for a token."""
    there = f"http://{ELSEWHERE}:{port}"
    if "continuation-token" in target:
        return 200, {}, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    if "list-type" in target:
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>132</Size></Contents>" for key in ("a.dcm", f"{there}/b.dcm")
        )
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{there}</NextContinuationToken>"
        return 200, {}, f"<ListBucketResult>{more}{entries}</ListBucketResult>".encode()
    return 307, {"Location": f"{there}{target}"}, b""


def azure(_method: str, target: str, port: int) -> Answer:
    there = f"http://{ELSEWHERE}:{port}/madeup/scans"
    if "marker=http" in target:
        return 200, {}, b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"
    if "comp=list" in target:
        size = "<Properties><Content-Length>132</Content-Length></Properties>"
        blob = f"<Blob><Name>a.dcm</Name><Url>{there}/a.dcm</Url>{size}</Blob>"
        marker = f"<NextMarker>{there}</NextMarker><NextLink>{there}</NextLink>"
        head = f'<EnumerationResults ServiceEndpoint="{there}" ContainerName="scans">'
        return 200, {}, f"{head}<Blobs>{blob}</Blobs>{marker}</EnumerationResults>".encode()
    return 302, {"Location": f"http://{ELSEWHERE}:{port}{target}"}, b""


def google(_method: str, target: str, port: int) -> Answer:
    there = f"http://{ELSEWHERE}:{port}{target}"
    if target.startswith("/storage/v1/b/scans/o?"):
        item = {"name": "a.dcm", "size": "132", "mediaLink": there, "selfLink": there}
        more = {} if "pageToken=http" in target else {"nextPageToken": there, "nextLink": there}
        return (
            200,
            {"Content-Type": "application/json"},
            json.dumps({"items": [item], "selfLink": there, **more}).encode(),
        )
    return 302, {"Location": there}, b""


SITES: dict[str, Site] = {
    **{role: redirect(location) for role, location in LOCATIONS.items()},
    "refresh": refreshing,
    "listing": listing,
    "webdav": webdav(),
    "webdav, document type": webdav('<!DOCTYPE D:multistatus SYSTEM "http://{there}/dav.dtd">'),
    "webdav, entity": webdav(
        '<!DOCTYPE x [<!ENTITY e SYSTEM "http://{there}/e"><!ENTITY % p SYSTEM "http://{there}/p">%p;]>'
    ),
    "qido": qido,
    "fhir": fhir,
    "viewer": viewer,
    "portal": portal,
    "https": lambda _method, target, _port: (200, {}, page("Orthanc Explorer", "")) if target == "/" else None,
}
"""Doors over HTTP. Of `https` it is the certificate that says where to ask for its revocation."""
NAMED: dict[str, Site] = {
    "s3, moved": store(301, "PermanentRedirect"),
    "s3, for now": store(307, "TemporaryRedirect"),
    "s3": objects,
    "az": azure,
    "gs": google,
    "web folder": redirect(LOCATIONS["redirect"]),
}
"""Buckets, and a folder, that the scope names."""


def over_http(role: str, site: Site) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        while first := await reader.readline():
            length = 0
            while (line := (await reader.readline()).strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            await reader.readexactly(length)
            method, target, _ = first.decode("latin-1").split(" ", 2)
            answer = site(method, target, port)
            writer.write(response(answer or (404, {}, b""), has_body=method != "HEAD"))
            await writer.drain()
            if answer is not None:
                led(role)

    return serve


def response(answer: tuple[int, Fields, bytes], *, has_body: bool) -> bytes:
    status, fields, body = answer
    lines = [f"HTTP/1.1 {status} made up", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body if has_body else b"")
