"""What the code that the authors published does, as far as reading tells; nothing of it was run."""

PUBLISHED_CODE = """
We have read the authors' repository, [whj363636/CamDrop](https://github.com/whj363636/CamDrop), as of commit `e590803`,
and run none of it. **The code that was published need not be the code that was run** for the paper: what follows says
how to take the reading *official* and Table 7, no more.

- **The guidance is off in places.** `ResNet/dropblock.py`, line 170, takes the classifier's weights only `if flag > 0`;
  otherwise its `CamDrop` is plain DropBlock.
  - ImageNet: `ResNet/imagenet-resnet.py` (as of `6e43b6c`), lines 82 and 99, hands over `flag = -1`, and
    `ResNet/resnet_model.py`, line 18, adds 1 to a local variable. So it is always 0, and the guidance is never on.
  - CIFAR-10: `ResNet/cifar10-resnet.py`, lines 98 and 111, counts from −1 each time the graph is built, which is once a
    GPU. So the first GPU trains without guidance.
- **A name is missing.** `ResNet/cifar10-resnet.py`, line 17, and `ResNet/mnist-convnet.py`, line 20, import `CamDrop`,
  but call `dropblock4` (lines 154 to 163 of the former), which is no longer there.
- **Where the guidance is on**, a candidate drops with DropBlock's probability, made for all positions, and one channel
  more than C/8 is dominant (`ResNet/dropblock.py`, lines 201 to 205): our reading *official*.
- **The network of CIFAR-10** is pre-activation (`ResNet/cifar10-resnet.py`, lines 22, 23 and 155), its weight decay
  2e-4 (line 199).
- **The attack of Table 7** steps by max(step, ε/iterations), 2.5 in the paper's setting, so that ε can be reached
  (`ResNet/attack/adv_model.py`, as of `6e43b6c`, line 89), from a random start (lines 176 to 179). The paper names a
  step of 1. Ours can do both: `python -m camdrop attack … --reach-epsilon --random-start`.
""".strip()
