"""What a station keeps in its database, and what of it goes where: the keeper's services."""
