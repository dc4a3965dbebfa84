"""The world of "Full Body Exposure", to be played in a network namespace: the published figures, made up again from a seed.

published   the figures that are facts, with their sources; everything else is generated
places      ranges of public IPv4 addresses, by the country database that ships
studies     what a server holds: each study computed from (seed, origin, index), none kept
model       servers, boxes, ranges: the world as it is
generate    from seed and scale to a world
truth       what an audit has to find, as a document
play        what each of them does when somebody connects
serve       the listeners, in a namespace without a way out
rules       the firewall that keeps the rest silent, and the scope of the sweeper
compare     a run held against the truth
"""
