"""Records: instances of object types, each with an owner; whoever may do what with one is said by grants alone."""
