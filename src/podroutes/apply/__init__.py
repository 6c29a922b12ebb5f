"""Plans one machine, kernel and files together, and carries plans out.

``machine_plan`` plans for an inventory, ``removal`` plans the removal of everything. ``executor`` carries a plan out,
``activation`` then makes a network manager read its files. ``deletion_guard`` and ``saved_state`` hold what a run knows of earlier
runs. An Observer is told about the progress.
"""
