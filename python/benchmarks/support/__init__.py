"""What compare_with_pytorch.py is made of."""
