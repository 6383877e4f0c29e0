"""People share records with people and teams: the documented Medable surface, below `/{org}/v2`."""
