"""The values of podroutes: immutable, named after the fields that they come from, standard library only."""
