"""Results of other scanners, cut to some records. zmap, masscan and nmap wrote theirs in a namespace; those of the search
engines are made up after their documentation, with what a server of patients might say where they keep what it said."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

from leadapron.discover.seeds.pairs import Found, Seeds

CANARY = "SYNTHETIC^CANARY"

ZMAP = """saddr,sport,classification,success
198.18.0.2,104,synack,1
198.18.0.5,104,rst,0
198.18.0.4,104,synack,1
"""

ZMAP_ALL = """\
saddr,saddr-raw,daddr,daddr-raw,ipid,ttl,sport,dport,seqnum,acknum,window,classification,success,repeat,cooldown,timestamp-str,timestamp-ts,timestamp-us
198.18.0.2,33559238,198.18.255.1,33493702,0,64,104,51364,4163480504,2228776461,64240,synack,1,0,1,2026-11-28T12:42:53.274+0000,1795869773,274898
198.18.0.4,67113670,198.18.255.1,33493702,0,64,104,43312,3766495585,39337589,64240,synack,1,0,1,2026-11-28T12:42:53.275+0000,1795869773,275004
"""

ZMAP_JSON = """\
{ "saddr": "198.18.0.2", "sport": 104, "classification": "synack", "success": 1 }
{ "saddr": "198.18.0.5", "sport": 104, "classification": "rst", "success": 0 }
{ "saddr": "198.18.0.4", "sport": 104, "classification": "synack", "success": 1 }
"""

MASSCAN = """[
{   "ip": "198.18.0.2",   "timestamp": "1795869774", "ports": [ {"port": 104, "proto": "tcp", "status": "open", \
"reason": "syn-ack", "ttl": 64} ] }
,
{   "ip": "198.18.0.4",   "timestamp": "1795869774", "ports": [ {"port": 104, "proto": "tcp", "status": "open", \
"reason": "syn-ack", "ttl": 64} ] }
]
"""

MASSCAN_OLD = """[
{   "ip": "198.18.0.2",   "timestamp": "1795869774", "ports": [ {"port": 104, "proto": "tcp", "status": "open"} ] },
{   "ip": "198.18.0.4",   "timestamp": "1795869774", "ports": [ {"port": 104, "proto": "tcp", "service": \
{"name": "dicom", "banner": "SYNTHETIC^CANARY"}} ] },
{finished: 1}
]
"""

MASSCAN_LINES = """\
{"ip":"198.18.0.2","timestamp":"1795869794","port":104,"proto":"tcp","rec_type":"status","data":{"status":"open",\
"reason":"syn-ack","ttl":64}}
{"ip":"198.18.0.4","timestamp":"1795869795","port":104,"proto":"tcp","rec_type":"banner","data":{"service_name":"x",\
"banner":"SYNTHETIC^CANARY"}}
{"ip":"198.18.0.5","timestamp":"1795869795","port":104,"proto":"tcp","rec_type":"status","data":{"status":"closed",\
"reason":"rst","ttl":64}}
"""

MASSCAN_LIST = """#masscan
open tcp 104 198.18.0.2 1795869778
open udp 161 198.18.0.3 1795869778
closed tcp 104 198.18.0.5 1795869778
banner tcp 104 198.18.0.4 1795869779 x SYNTHETIC^CANARY of a server
# end
"""

NMAP = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<?xml-stylesheet href="file:///usr/bin/../share/nmap/nmap.xsl" type="text/xsl"?>
<!-- Nmap 7.93 scan initiated Sat Nov 28 12:43:46 2026 as: nmap -n -Pn -sT -p104,4242 -oX nmap.xml 198.18.0.0/29 -->
<nmaprun scanner="nmap" args="nmap -n -Pn -sT -p104,4242 -oX nmap.xml 198.18.0.0/29" start="1795869826" version="7.93">
<scaninfo type="connect" protocol="tcp" numservices="2" services="104,4242"/>
<hosthint><status state="up" reason="arp-response" reason_ttl="0"/>
<address addr="198.18.0.9" addrtype="ipv4"/>
<hostnames>
</hostnames>
</hosthint>
<host starttime="1795869826" endtime="1795869826"><status state="up" reason="user-set" reason_ttl="0"/>
<address addr="198.18.0.2" addrtype="ipv4"/>
<address addr="9E:D6:C2:D1:B1:55" addrtype="mac"/>
<hostnames>
<hostname name="synthetic-canary.example" type="PTR"/>
</hostnames>
<ports><port protocol="tcp" portid="104"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="acr-nema" \
product="SYNTHETIC^CANARY" method="table" conf="3"/><script id="dicom-ping" output="SYNTHETIC^CANARY"/></port>
<port protocol="tcp" portid="4242"><state state="closed" reason="conn-refused" reason_ttl="0"/></port>
<port protocol="udp" portid="161"><state state="open|filtered" reason="no-response" reason_ttl="0"/></port>
</ports>
</host>
<host starttime="1795869826" endtime="1795869826"><status state="up" reason="user-set" reason_ttl="0"/>
<address addr="198.18.0.4" addrtype="ipv4"/>
<ports><port protocol="tcp" portid="104"><state state="open" reason="syn-ack" reason_ttl="0"/></port>
</ports>
</host>
<host><status state="down" reason="no-response" reason_ttl="0"/>
<address addr="198.18.0.6" addrtype="ipv4"/>
</host>
<runstats><finished time="1795869826" summary="Nmap done" exit="success"/><hosts up="2" down="1" total="3"/></runstats>
</nmaprun>
"""


def banner(address: object, port: int = 104, **parts: object) -> dict[str, object]:
    """Of Shodan."""
    said = {"data": f"{CANARY} at the port", "hostnames": ["synthetic-canary.example"], "org": CANARY}
    key = "ip_str" if isinstance(address, str) else "ip"
    return {"hash": -553166942, key: address, "port": port, "transport": "tcp", **said, **parts}


def host(address: str, *ports: int, transport: str = "TCP") -> dict[str, object]:
    """Of Censys Search 2."""
    services = [
        {"port": port, "service_name": "DICOM", "transport_protocol": transport, "banner": CANARY} for port in ports
    ]
    return {"ip": address, "services": services, "location": {"country_code": "DE"}, "dns": {"names": [CANARY]}}


SHODAN = "".join(
    json.dumps(each) + "\n"
    for each in (
        banner("198.18.0.2"),
        banner(int(ip_address("198.18.0.4"))),
        banner("198.18.0.5", 161, transport="udp"),
    )
)
SHODAN_ANSWER = json.dumps(
    {"matches": [banner("198.18.0.2"), banner("198.18.0.4")], "facets": {"country": []}, "total": 2}
)
HOSTS = [host("198.18.0.2", 104), host("198.18.0.4", 104), host("198.18.0.5", 161, transport="UDP"), host("198.18.0.6")]
CENSYS = json.dumps(HOSTS, indent=4)
CENSYS_LINES = "".join(json.dumps(each) + "\n" for each in HOSTS)
CENSYS_ANSWER = json.dumps(
    {
        "code": 200,
        "status": "OK",
        "result": {"query": 'services: {"hits": [', "total": 4, "hits": HOSTS, "links": {"next": "x", "prev": ""}},
    }
)
PLATFORM_HITS = [
    {"host_v1": {"extensions": {}, "resource": host("198.18.0.2", 104, transport="tcp"), "matched_services": []}},
    {"certificate_v1": {"extensions": {}, "resource": {"names": [CANARY]}}},
    {"host_v1": {"extensions": {}, "resource": host("198.18.0.4", 104, transport="tcp")}},
]
PLATFORM_ANSWER = json.dumps({"result": {"hits": PLATFORM_HITS, "next_page_token": "", "total_hits": 3}}, indent=1)

WHOLE = {
    "list": "# ours\n198.18.0.2:104\n\n198.18.0.4,104 # a comment\n",
    "zmap": ZMAP,
    "zmap_all": ZMAP_ALL,
    "zmap_json": ZMAP_JSON,
    "masscan": MASSCAN,
    "masscan_old": MASSCAN_OLD,
    "masscan_lines": MASSCAN_LINES,
    "masscan_list": MASSCAN_LIST,
    "nmap": NMAP,
    "shodan": SHODAN,
    "shodan_answer": SHODAN_ANSWER,
    "censys": CENSYS,
    "censys_lines": CENSYS_LINES,
    "censys_answer": CENSYS_ANSWER,
    "platform_answer": PLATFORM_ANSWER,
    "platform_lines": "".join(json.dumps(each) + "\n" for each in PLATFORM_HITS),
}
"""Each names port 104 of `OPEN`, and no other."""

OPEN = ["198.18.0.2:104", "198.18.0.4:104"]


def found(ports: tuple[int, ...] = (104, 11112), **bounds: int) -> Found:
    return Found(Path("scan"), ports, **bounds)


def shown(seeds: Seeds) -> list[str]:
    four = [
        f"{ip_address(address)}:{port}" for address, port in zip(seeds.addresses4.tolist(), seeds.ports4, strict=True)
    ]
    return four + [f"[{ip_address(address)}]:{port}" for address, port in seeds.targets6]
