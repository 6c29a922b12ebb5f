"""Plans of one machine, kernel and files together, and the one way to carry them out.

``machine_plan`` makes the plan of what an inventory wants.
"""
