"""CamDrop Lab: structured dropout inside convolutional networks, under one general form."""
