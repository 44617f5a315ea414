"""The folder for nnUNet_extTrainer; nnU-Net imports what is in it by itself."""
