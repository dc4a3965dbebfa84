"""Tomcat with a FORM login, HAPI on Tomcat, fhirsnake, and nginx with the page of a viewer before an Orthanc.

Tomcat (10.1) judges the login as it does for Oviyam, whose own pages are Java Server Pages of an older container: here they
are files with the same form. HAPI's jars come by Maven, once, into .peers/hapi; MadeUpFhir.java is compiled for each run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import Namespace, free_ports, require

CATALINA_HOME = Path("/usr/share/tomcat10")
"""Of Debian's tomcat10-common."""
HAPI = Path(__file__).parent / "hapi"
JARS = Path(__file__).parents[2] / ".peers" / "hapi"

SERVER_XML = """\
<Server port="-1" shutdown="none"><Service name="Catalina">
  <Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1" server=""/>
  <Engine name="Catalina" defaultHost="localhost">
    <Realm className="org.apache.catalina.realm.MemoryRealm" pathname="conf/users.xml"/>
    <Host name="localhost" appBase="webapps" autoDeploy="false"/>
  </Engine>
</Service></Server>
"""
WEB_XML = '<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">\n{content}\n</web-app>\n'
FORM_LOGIN = """\
<welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list>
<servlet>
  <servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class>
</servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
<security-constraint>
  <web-resource-collection>
    <web-resource-name>all</web-resource-name><url-pattern>/*</url-pattern>
  </web-resource-collection>
  <auth-constraint><role-name>WebUser</role-name></auth-constraint>
</security-constraint>
<security-role><role-name>WebUser</role-name></security-role>
<login-config>
  <auth-method>FORM</auth-method>
  <form-login-config>
    <form-login-page>/login.html</form-login-page><form-error-page>/error.html</form-error-page>
  </form-login-config>
</login-config>"""
FHIR_SERVLET = """\
<servlet>
  <servlet-name>fhir</servlet-name><servlet-class>MadeUpFhir</servlet-class>
  <init-param><param-name>studies</param-name><param-value>{studies}</param-value></init-param>
  <init-param><param-name>patients</param-name><param-value>{patients}</param-value></init-param>
  <init-param><param-name>locked</param-name><param-value>{locked}</param-value></init-param>
  <init-param><param-name>family</param-name><param-value>{family}</param-value></init-param>
  <init-param><param-name>description</param-name><param-value>{description}</param-value></init-param>
</servlet>
<servlet-mapping><servlet-name>fhir</servlet-name><url-pattern>/*</url-pattern></servlet-mapping>"""

OVIYAM = {
    "login.html": """\
<html><head><title>Oviyam login</title></head><body id="loginbody"><div id="login">
<form action="j_security_check" method="POST">
<input class="text" type="text" name="j_username" ><input class="text" type="password" name="j_password"  >
</form></div></body></html>""",
    "error.html": "<html><head><title>Oviyam login</title></head><body>Invalid Usernamd or Password.</body></html>",
    "index.html": "<html><head><title>Oviyam</title></head><body>SYNTHETIC^PATIENT</body></html>",
}


@contextlib.contextmanager
def tomcat(inside: Namespace, folder: Path, users: str = "") -> Iterator[tuple[int, Path]]:
    """Its port, and what `folder` has under `webapps`. `users`: elements of MemoryRealm's file."""
    require("java")
    if not CATALINA_HOME.is_dir():
        pytest.skip("tomcat10-common is not installed (tests/apt-packages.txt)")
    (port,) = free_ports(1)
    for name in ("conf", "logs", "temp", "work"):
        (folder / name).mkdir()
    (folder / "conf" / "server.xml").write_text(SERVER_XML.format(port=port))
    (folder / "conf" / "users.xml").write_text(f"<tomcat-users>{users}</tomcat-users>")
    path = f"{CATALINA_HOME}/bin/bootstrap.jar:{CATALINA_HOME}/bin/tomcat-juli.jar"
    places = (f"-Dcatalina.base={folder}", f"-Dcatalina.home={CATALINA_HOME}", f"-Djava.io.tmpdir={folder / 'temp'}")
    command = ("java", *places, "-cp", path, "org.apache.catalina.startup.Bootstrap", "start")
    with inside.serving(port, *command, log=folder / "tomcat.log"):
        yield port, folder


@contextlib.contextmanager
def form_login(inside: Namespace, folder: Path, users: str) -> Iterator[int]:
    """Oviyam's login, at `/oviyam2/`."""
    place = folder / "tomcat"
    application = place / "webapps" / "oviyam2"
    (application / "WEB-INF").mkdir(parents=True)
    (application / "WEB-INF" / "web.xml").write_text(WEB_XML.format(content=FORM_LOGIN))
    for name, page in OVIYAM.items():
        (application / name).write_text(page)
    with tomcat(inside, place, users) as (port, _):
        yield port


def hapi_jars() -> Path:
    """HAPI and what it needs, as Maven has them. Once for all runs."""
    if not list(JARS.glob("hapi-fhir-server-*.jar")):
        require("mvn")
        command = [
            "mvn",
            "-q",
            "-B",
            "-f",
            HAPI / "pom.xml",
            "dependency:copy-dependencies",
            f"-DoutputDirectory={JARS}",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=280)
    return JARS


@contextlib.contextmanager
def hapi(
    inside: Namespace,
    folder: Path,
    *,
    studies: int,
    patients: int,
    locked: bool = False,
    family: str = "SYNTHETIC",
    description: str = "SYNTHETIC",
) -> Iterator[int]:
    """HAPI's RESTful server at `/fhir`, with the name of its patients and what its studies say."""
    require("javac")
    jars, place = hapi_jars(), folder / "tomcat"
    application = place / "webapps" / "fhir" / "WEB-INF"
    (application / "classes").mkdir(parents=True)
    content = FHIR_SERVLET.format(
        studies=studies, patients=patients, locked=int(locked), family=family, description=description
    )
    (application / "web.xml").write_text(WEB_XML.format(content=content))
    shutil.copytree(jars, application / "lib", copy_function=_linked)
    path = f"{jars}/*:{CATALINA_HOME}/lib/servlet-api.jar"
    command = ["javac", "-cp", path, "-d", application / "classes", HAPI / "MadeUpFhir.java"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with tomcat(inside, place) as (port, _):
        yield port


def _linked(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    return target


@contextlib.contextmanager
def fhirsnake(inside: Namespace, folder: Path, *, studies: int, patients: int) -> Iterator[int]:
    """A server of files in JSON, at the root (PyPI)."""
    found = importlib.util.find_spec("fhirsnake")
    if found is None or not found.submodule_search_locations:
        pytest.skip("fhirsnake is not installed (requirements/develop.txt)")
    for name, count in (("ImagingStudy", studies), ("Patient", patients)):
        resources = folder / "resources" / name
        resources.mkdir(parents=True)
        for number in range(count):
            content = {"resourceType": name, "note": [{"text": "SYNTHETIC^PATIENT"}]}
            (resources / f"made-up-{number}.json").write_text(json.dumps(content))
    (port,) = free_ports(1)
    (package,) = found.submodule_search_locations
    command = (sys.executable, "-m", "uvicorn", "main:app", "--app-dir", package, "--port", port)
    with inside.serving(port, *command, log=folder / "fhirsnake.log", cwd=folder):
        yield port


NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  types {{ text/html html; application/javascript js; }}
  server {{
    listen 127.0.0.1:{port};
    root {folder}/pages;
    location /pacs/ {{
      {directives}
      proxy_pass http://127.0.0.1:{backend}/;
    }}
  }}
}}
"""


@contextlib.contextmanager
def viewer(inside: Namespace, folder: Path, backend: int, config: str, *, password: bool = False) -> Iterator[int]:
    """The page of OHIF at `/ohif/`, as far as it is known by, and its configuration; an Orthanc below `/pacs/`."""
    require("nginx")
    (port,) = free_ports(1)
    pages = folder / "pages" / "ohif"
    pages.mkdir(parents=True)
    (pages / "index.html").write_text(
        '<!doctype html><html lang="en"><head><meta charset="UTF-8" />\n<meta\n name="application-name"\n'
        ' content="OHIF Viewer"\n/><title>OHIF Viewer</title></head><body><div id="root"></div></body></html>\n'
    )
    (pages / "app-config.js").write_text(config)
    (folder / "passwords").write_text("made-up:{PLAIN}made-up\n")
    lock = f'auth_basic "viewer"; auth_basic_user_file {folder}/passwords;' if password else ""
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=port, backend=backend, directives=lock))
    with inside.serving(port, "nginx", "-e", folder / "nginx.log", "-c", file, log=folder / "nginx.out"):
        yield port


__all__ = ["fhirsnake", "form_login", "hapi", "viewer"]
