"""The vocabulary of podroutes: frozen values, named after the field they come from, standard library only."""
