"""The local cloud: the pinned ministack, with the gaps closed that our functions would fall into.

One module per gap. Each says which AWS behaviour it restores, and `tests/emulator/` states that behaviour as a
test, so that a ministack release that closes the gap itself shows: the test then passes without the module.
"""
