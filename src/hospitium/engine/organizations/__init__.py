"""Organizations: clinics, radiology groups, companies; the tenant of almost everything."""
