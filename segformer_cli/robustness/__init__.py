"""Common corruptions of pictures, the protocols that use them, and the scores of robustness."""
