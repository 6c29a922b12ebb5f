"""Plans of one machine, kernel and files together, and the one way to carry them out.

``machine_plan`` makes the plan of what an inventory wants, ``removal`` that of taking everything back. ``executor`` carries a plan
out, ``activation`` has a network manager read its files after that. ``deletion_guard`` and ``saved_state`` are what a run knows of
earlier runs. Whoever starts a plan is told through an Observer.
"""
