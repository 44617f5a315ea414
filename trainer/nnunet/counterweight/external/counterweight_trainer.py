"""What nnU-Net finds through nnUNet_extTrainer. The class itself lives in the installed package:
nnU-Net forgets the modules of this folder after the look-up, so workers could not import it here.
"""

from counterweight.trainer import CounterweightTrainer

__all__ = ["CounterweightTrainer"]
