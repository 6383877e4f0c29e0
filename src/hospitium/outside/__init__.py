"""The world outside, one seam each."""
