"""What was tried on age models and is no option of them."""
