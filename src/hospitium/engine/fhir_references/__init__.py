"""What patients' resources refer to that is about nobody: practitioners, organizations, medications."""
