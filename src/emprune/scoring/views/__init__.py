"""A sample's values from its two views, in contrastive learning."""
