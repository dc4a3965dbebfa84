"""Web servers that list folders or speak WebDAV, in a namespace: open as they come, or locked by a password.

What was seen of them, over the tree of `file_tree` (bodies: tests/protocols/listing/data, by listing_captures.py;
test_web_servers.py holds the table against them):

server (version)     folder, GET       without /  piece    past end  PROPFIND 1, infinity  hidden files
nginx 1.22           page, JSON, XML   301        206      416       405       405         not listed
nginx with dav-ext   403               301        206      416       207       403         not listed
Apache 2.4           page              301        206      416       405       405         listed
Apache with mod_dav  page              301        206      416       207       403         listed
lighttpd 1.4         page              301        206      416       501       501         not listed
lighttpd, webdav     page              301        206      416       207       403         listed by PROPFIND alone
Caddy 2.6            page or JSON      308        206      416       200 (1)   200 (1)     listed
rclone 1.75, http    page              404        206      416       405       405         listed
rclone 1.75, webdav  page              405        206      416       207       207 (2)     listed
http.server of 3.11  page              301        200 (3)  200 (3)   501       501         listed
wsgidav 4.4          page              301        206      416       207       207 (2)     listed

(1) Caddy answers every method with the listing: a 200 to PROPFIND or OPTIONS is no WebDAV.
(2) The whole tree at once: never to be asked of a stranger.
(3) It knows no ranges: the whole file comes, with Content-Length.

All speak HTTP/1.1 and keep the connection; http.server speaks HTTP/1.0 and closes it. A page's length is told, or it is
chunked (nginx, Caddy). Redirects are absolute with host and port (nginx, Apache) or paths (the others). What is not there
is 404 of all. Two ranges at once: multipart/byteranges of most, the first alone of wsgidav. A piece that goes beyond the
end: 206 with what is there. Locked: 401 with `WWW-Authenticate: Basic realm="..."`, for every path and every method,
OPTIONS too; a body may be empty (Caddy).

Links of a page. All write `/` at the end of a folder's, escape a name for a URL and the URL for the page; what they
escape differs: `&` is %26 (nginx, lighttpd, http.server, wsgidav) or &amp; (Apache, Caddy, rclone); `'` is %27, plain
(Apache) or &#39; (wsgidav); Apache's hexadecimal digits are small. Before the name there may be `./`: of all in Caddy, of
folders in wsgidav. The text of a link is cut by nginx (50 characters, `..&gt;`) and Apache's fancy form (23): a name is
read from the link alone. The parent is `../` (nginx, lighttpd, Caddy, rclone), `..` (Caddy and rclone once more, wsgidav),
an absolute path (Apache), or is not there. Other links: `?C=N;O=D` (Apache), `?sort=name&order=asc` (Caddy, rclone; the
`&` as it is), an empty one (Caddy, rclone), `?download=zip`, and `NAME/?download=zip` for each folder (rclone), another
host (Caddy). Symbolic links look like what they point to; rclone leaves them out.
Sizes: bytes (nginx; `data-order` of Caddy and rclone, which is -1 for folders; `652 Bytes` of wsgidav), cut to 0.6K
(lighttpd) or 1.5K (Apache, from 973 bytes on), none (http.server, Apache's plain form). Dates: of its own zone (Apache,
lighttpd). The page is UTF-8 or bytes as they are, whatever it says (Apache: ISO-8859-1; nginx, lighttpd: nothing).

JSON. nginx: [{"name", "type": "directory" | "file" | "other", "mtime", "size" of files}], lines end in CR LF. Caddy, for
`Accept: application/json`: [{"name" with `/` of a folder, "size" of folders too, "url", "mod_time", "mode", "is_dir",
"is_symlink"}]. Empty: `[` CR LF `]`, and `[]`. XML of nginx: <list><directory mtime>NAME<file mtime size>NAME.

PROPFIND without a body asks for all properties, with a body for two of them in *.propfind-two.xml. The folder itself is
among the answers, first. The prefix of DAV: is `D` (nginx, lighttpd, rclone), `D`, `lp1` and `g0` together (Apache) or
`ns0` (wsgidav), which is another namespace in lighttpd's. hrefs are absolute paths of folders with `/` at the end, and
escaped in other ways than in the same server's page (nginx, rclone and Apache leave `&` to XML; nginx, wsgidav and Apache
leave `'`); Orthanc's folders have no `/` in the list of what is above them, so that <collection/> alone tells. A folder
has a getcontentlength of 4096 in lighttpd's, none in the others': there it is missing (nginx) or in a second propstat
with 404, empty (Apache, rclone, wsgidav). nginx lists in no order.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import Namespace, as_file, free_ports, instance, require
from tls_servers import Pair

from leadapron.model import Endpoint

USER, PASSWORD = "made-up-user", "made-up-password"
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

DAV_EXT = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
"""Of Debian's libnginx-mod-http-dav-ext."""
APACHE_MODULES = Path("/usr/lib/apache2/modules")

LONG = "SYNTHETIC-a-name-of-a-file-that-is-longer-than-what-the-listings-of-most-servers-show-of-it.dcm"
AWKWARD = "SYNTHETIC^1 a&b <c> 100% #ü'.dcm"
"""Every character that a listing must escape for a link, for a page or for both."""


def file_tree(folder: Path) -> list[bytes]:
    """A small tree of made-up files, always the same; the DICOM files of it, as they were written, in order of names."""
    files = [as_file(instance(number)) for number in range(5)]
    inner = folder / "studies" / "SYNTHETIC 0" / "series"
    inner.mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "IM000001").write_bytes(files[0])
    (folder / "first.dcm").write_bytes(files[1])
    (folder / "studies" / LONG).write_bytes(files[2])
    (folder / "studies" / AWKWARD).write_bytes(files[3])
    (inner / "IM000001.dcm").write_bytes(files[4])
    (folder / "notes.txt").write_text("SYNTHETIC: made up for a test\n")
    (folder / ".hidden").write_text("SYNTHETIC: made up for a test\n")
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return files


def _here() -> Endpoint:
    (port,) = free_ports(1)
    return Endpoint(address=ip_address("127.0.0.1"), port=port)


def _place(folder: Path, name: str, here: Endpoint) -> Path:
    """A folder of its own for what a server writes."""
    place = folder / f"{name}-{here.port}"
    place.mkdir()
    return place


def installed(name: str) -> Path:
    """A program that pip installed beside this Python (requirements/develop.txt)."""
    return Path(sysconfig.get_path("scripts")) / name


def _passwords(place: Path) -> Path:
    """One file of passwords that nginx, Apache and lighttpd read."""
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()).decode()
    file = place / "passwords"
    file.write_text(f"{USER}:{{SHA}}{digest}\n")
    return file


# --- nginx ------------------------------------------------------------------------------------------------------------

NGINX = """\
{load}
daemon off;
user root;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/error.log info;
events {{ worker_connections 512; }}
http {{
  log_format line "$request_method $request_uri $status";
  access_log off;
  client_max_body_size 0;
  default_type application/octet-stream;
  types {{ text/html html; text/plain txt; }}
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  server {{
    listen {here}{listen};
    {directives}
  }}
}}
"""


class Form(Enum):
    """The shapes of a listing."""

    PLAIN = "html"
    FANCY = "fancy"
    TABLE = "table"
    JSON = "json"
    XML = "xml"


@contextlib.contextmanager
def _nginx(
    inside: Namespace, folder: Path, directives: str, *, locked: bool, load: str = "", listen: str = ""
) -> Iterator[Endpoint]:
    require("nginx")
    here = _here()
    place = _place(folder, "nginx-http", here)
    if locked:
        directives += f'\n    auth_basic "made up"; auth_basic_user_file {_passwords(place)};'
    file = place / "nginx.conf"
    file.write_text(NGINX.format(load=load, place=place, here=here, listen=listen, directives=directives))
    command = ("nginx", "-p", place, "-c", file, "-e", place / "start.log")
    with inside.serving(here.port, *command, log=place / "output.log"):
        yield here


@contextlib.contextmanager
def nginx_listing(
    inside: Namespace, folder: Path, tree: Path, form: Form = Form.PLAIN, *, locked: bool = False
) -> Iterator[Endpoint]:
    """`autoindex` of ngx_http_autoindex_module: PLAIN, JSON or XML."""
    directives = f"root {tree}; autoindex on; autoindex_format {form.value};"
    with _nginx(inside, folder, directives, locked=locked) as here:
        yield here


@contextlib.contextmanager
def nginx_logged(inside: Namespace, folder: Path, directives: str) -> Iterator[tuple[Endpoint, Path]]:
    """Whatever `directives` say, and the file in which each request has a line: `GET / 200`."""
    log = folder / "requests.log"
    with _nginx(inside, folder, f"access_log {log} line; {directives}", locked=False) as here:
        yield here, log


@contextlib.contextmanager
def nginx_webdav(inside: Namespace, folder: Path, tree: Path, *, locked: bool = False) -> Iterator[Endpoint]:
    """PROPFIND of nginx-dav-ext-module; a GET of a folder is refused (403), for it lists nothing of its own."""
    if not DAV_EXT.exists():
        pytest.skip("nginx has no dav-ext module (tests/apt-packages.txt)")
    directives = f"root {tree}; dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;"
    with _nginx(inside, folder, directives, locked=locked, load=f"load_module {DAV_EXT};") as here:
        yield here


@contextlib.contextmanager
def nginx_https(inside: Namespace, folder: Path, backend: Endpoint, pair: Pair) -> Iterator[Endpoint]:
    """HTTPS ends at nginx, which speaks HTTP/1.1 to `backend`: as clinics put it before an Orthanc."""
    directives = (
        f"ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};\n"
        f"    location / {{ proxy_pass http://{backend}; proxy_http_version 1.1; proxy_set_header Host $host; }}"
    )
    with _nginx(inside, folder, directives, locked=False, listen=" ssl") as here:
        yield here


# --- Apache -----------------------------------------------------------------------------------------------------------

APACHE = """\
ServerRoot {place}
ServerName pacs.example
PidFile {place}/apache.pid
ErrorLog {place}/error.log
Listen {here}
{modules}
DocumentRoot {tree}
DavLockDB {place}/locks
TypesConfig /dev/null
AddType application/octet-stream .dcm
AddType text/plain .txt
<Directory {tree}>
  Options Indexes FollowSymLinks
  {directives}
</Directory>
"""
APACHE_LOADED = (
    *("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"),
    *("mime", "dir", "autoindex", "dav", "dav_fs", "setenvif"),
)
APACHE_FORMS = {
    Form.PLAIN: "IndexOptions -FancyIndexing",
    Form.FANCY: "IndexOptions FancyIndexing",
    Form.TABLE: "IndexOptions FancyIndexing HTMLTable NameWidth=*",
}


@contextlib.contextmanager
def apache(
    inside: Namespace,
    folder: Path,
    tree: Path,
    form: Form = Form.FANCY,
    *,
    webdav: bool = False,
    locked: bool = False,
    all_may_ask: bool = False,
) -> Iterator[Endpoint]:
    """mod_autoindex in three forms; with `webdav`, mod_dav beside it, whose GET of a folder is still the listing. With
    `all_may_ask` OPTIONS is not locked."""
    require("apache2", "setpriv")
    here = _here()
    place = _place(folder, "apache", here)
    if locked:
        access = f'AuthType Basic\n  AuthName "made up"\n  AuthUserFile {_passwords(place)}\n  Require valid-user'
        if all_may_ask:
            access = access.replace("Require valid-user", "<LimitExcept OPTIONS>\nRequire valid-user\n</LimitExcept>")
    else:
        access = "Require all granted"
    directives = "\n  ".join((APACHE_FORMS[form], "Dav On" if webdav else "Dav Off", access))
    modules = "\n".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in APACHE_LOADED)
    file = place / "apache.conf"
    file.write_text(APACHE.format(place=place, here=here, modules=modules, tree=tree, directives=directives))
    # Apache serves nothing as root; as another user it must still read a folder of root's.
    user = ("--reuid=www-data", "--regid=www-data", "--clear-groups")
    may = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    command = ("setpriv", *user, *may, "apache2", "-f", file, "-DFOREGROUND")
    with inside.serving(here.port, *command, log=place / "output.log"):
        yield here


# --- lighttpd ---------------------------------------------------------------------------------------------------------

LIGHTTPD = """\
server.bind = "127.0.0.1"
server.port = {here.port}
server.document-root = "{tree}"
server.errorlog = "{place}/error.log"
server.upload-dirs = ( "{place}" )
server.modules = ( "mod_dirlisting", "mod_auth", "mod_authn_file", "mod_webdav" )
mimetype.assign = ( ".txt" => "text/plain", "" => "application/octet-stream" )
dir-listing.activate = "enable"
{directives}
"""


@contextlib.contextmanager
def lighttpd(
    inside: Namespace, folder: Path, tree: Path, *, webdav: bool = False, locked: bool = False
) -> Iterator[Endpoint]:
    """mod_dirlisting; with `webdav`, mod_webdav beside it."""
    require("lighttpd")
    here = _here()
    place = _place(folder, "lighttpd", here)
    directives = 'webdav.activate = "enable"' if webdav else ""
    if locked:
        directives += (
            f'\nauth.backend = "htpasswd"\nauth.backend.htpasswd.userfile = "{_passwords(place)}"\n'
            'auth.require = ( "/" => ( "method" => "basic", "realm" => "made up", "require" => "valid-user" ) )'
        )
    file = place / "lighttpd.conf"
    file.write_text(LIGHTTPD.format(here=here, tree=tree, place=place, directives=directives))
    with inside.serving(here.port, "lighttpd", "-D", "-f", file, log=place / "output.log"):
        yield here


# --- Caddy, rclone, Python --------------------------------------------------------------------------------------------

CADDY = """\
{{
  admin off
  auto_https off
  storage file_system {place}
}}
http://127.0.0.1:{here.port} {{
  root * {tree}
  {directives}
  file_server browse
}}
"""


@contextlib.contextmanager
def caddy(inside: Namespace, folder: Path, tree: Path, *, locked: bool = False) -> Iterator[Endpoint]:
    """file_server with `browse`: a page, or JSON for `Accept: application/json`."""
    require("caddy")
    here = _here()
    place = _place(folder, "caddy", here)
    directives = ""
    if locked:
        command = ["caddy", "hash-password", "--plaintext", PASSWORD]
        made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
        directives = f"basicauth {{\n    {USER} {made}\n  }}"
    file = place / "Caddyfile"
    file.write_text(CADDY.format(place=place, here=here, tree=tree, directives=directives))
    at_home = ("env", f"HOME={place}")
    command_line = (*at_home, "caddy", "run", "--adapter", "caddyfile", "--config", file)
    with inside.serving(here.port, *command_line, log=place / "output.log"):
        yield here


@contextlib.contextmanager
def rclone(
    inside: Namespace, folder: Path, tree: Path, protocol: str = "http", *, locked: bool = False
) -> Iterator[Endpoint]:
    """`rclone serve` of "http" or "webdav" (whose GET of a folder is the same page), or "s3", a folder a bucket."""
    here = _here()
    place = _place(folder, f"rclone-{protocol}", here)
    if not locked:
        lock: tuple[str, ...] = ()
    elif protocol == "s3":
        lock = ("--auth-key", f"{USER},{PASSWORD}")
    else:
        lock = ("--user", USER, "--pass", PASSWORD)
    quiet = ("--config", place / "none.conf", "--cache-dir", place / "cache")
    command = (installed("rclone"), "serve", protocol, *quiet, "--addr", here, *lock, tree)
    with inside.serving(here.port, *command, log=place / "output.log"):
        yield here


@contextlib.contextmanager
def http_server(inside: Namespace, folder: Path, tree: Path) -> Iterator[Endpoint]:
    """Python's own `http.server`: what is started in a hurry, in a folder that holds more than its starter thinks."""
    here = _here()
    place = _place(folder, "http-server", here)
    command = (sys.executable, "-m", "http.server", here.port, "--bind", "127.0.0.1", "--directory", tree)
    with inside.serving(here.port, *command, log=place / "output.log"):
        yield here


@contextlib.contextmanager
def wsgidav(inside: Namespace, folder: Path, tree: Path, *, locked: bool = False) -> Iterator[Endpoint]:
    """WebDAV in Python, over cheroot, with a page for browsers."""
    here = _here()
    place = _place(folder, "wsgidav", here)
    configuration = {
        "host": "127.0.0.1",
        "port": here.port,
        "server": "cheroot",
        "provider_mapping": {"/": str(tree)},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}} if locked else True}},
        "http_authenticator": {"accept_digest": False, "default_to_digest": False},
    }
    file = place / "wsgidav.json"
    file.write_text(json.dumps(configuration))
    with inside.serving(here.port, installed("wsgidav"), "--config", file, log=place / "output.log"):
        yield here
