"""Organizations connect with organizations: the documented RadOrderPad surface, below `/api`."""
