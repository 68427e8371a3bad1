"""Customer health platform: weekly health review, customer risk review, quarterly segmentation review."""
