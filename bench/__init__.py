"""The benchmarks: each is one module and one command, and prints ratios and how they were made (docs/benchmarks.md)."""
