"""One folder per audience. A door turns the wire into plain values and an actor, one engine action does the whole deed,
and the door turns the result, or the refusal, into its own words."""
