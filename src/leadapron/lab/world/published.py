"""What was published about the investigation "Full Body Exposure" (CybelAngel, December 2020). Nothing else here is a fact.

Sources, each figure in two at least where a second one is named:

- CybelAngel's announcement, as computingsecurity.co.uk (article 11034, December 2020) and auntminnie.com (15 December 2020)
  have it: over 45 million unique images, over 2,140 servers, 67 countries, 4.3 billion addresses;
- cybersecurity-help.cz (blog 1829) and netsec.news: twelve servers above a million files each; 9.8 million files in the
  United States, 9.6 million in South Korea, 8.8 million in Russia (the first of the two);
- The Register, 15 December 2020, also through threatshub.org and vumetric.com: 23,000 images on 90 servers in the United
  Kingdom.

How many servers stood in any other country, which countries they were, what a server held: not published.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVERS = 2_140
COUNTRIES = 67
IMAGES = 45_000_000
"""unique"""
GIANTS = 12
"""servers with more than `GIANT` images"""
GIANT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCountry:
    """`servers` None: not published."""

    images: int
    servers: int | None = None


BY_COUNTRY = {
    "US": OfCountry(images=9_800_000),
    "KR": OfCountry(images=9_600_000),
    "RU": OfCountry(images=8_800_000),
    "GB": OfCountry(images=23_000, servers=90),
}
