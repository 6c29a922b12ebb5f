"""What a stranger gets: a minimal Debian in a folder, and in it what the README says to type, as root and as a user."""
