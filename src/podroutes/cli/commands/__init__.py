"""The commands, a module each with ``run(arguments) -> exit status``."""
