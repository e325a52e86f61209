"""Class activation maps of a batch: ours against torchcam's CAM and pytorch-grad-cam's Grad-CAM.

python -m bench.cam [--rounds 21] [--threads 2]

"from images" is the forward pass and the maps; "from features" the maps alone, as when a page holds the features
(Grad-CAM has no such case: it needs a backward pass through the network).
"""

import argparse
from collections.abc import Callable

import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import CAM

from bench.report import environment, interleaved, median, ratio, table
from camdrop.cam import class_activation_map
from camdrop.resnet import build

REPEATS = 20  # the maps alone take microseconds, so a timing is of this many calls
SIZES = (("resnet20", 64, 32), ("resnet18", 16, 224))


def measure(name: str, batch: int, size: int, rounds: int) -> list[dict[str, object]]:
    torch.manual_seed(0)
    model = build(name, num_classes=10).eval()
    last = model.stage_names[-1]
    block = getattr(model, last)[-1]
    images, targets = torch.randn(batch, 3, size, size), torch.randint(10, (batch,))
    classes, grad_targets = targets.tolist(), [ClassifierOutputTarget(k) for k in targets.tolist()]
    with torch.inference_mode():
        features = model.stages(images)[last]

    def ours() -> torch.Tensor:
        with torch.inference_mode():
            return class_activation_map(model.stages(images)[last], model.fc.weight, targets)

    def torchcam_from_images() -> torch.Tensor:
        with torch.inference_mode():
            model(images)
            return extractor(classes, normalized=False)[0]

    def repeated(fn: Callable[[], object]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(REPEATS):
                fn()

        return calls

    # Each peer's hooks are there only while it is timed against us, so that it slows nobody else.
    with CAM(model, block, model.fc) as extractor:
        torch.testing.assert_close(ours(), torchcam_from_images(), rtol=1e-3, atol=1e-4)
        whole = interleaved({"ours": ours, "torchcam": torchcam_from_images}, rounds)
        alone = interleaved(
            {
                "ours": repeated(lambda: class_activation_map(features, model.fc.weight, targets)),
                "torchcam": repeated(lambda: extractor(classes, normalized=False)),
            },
            rounds,
        )
    with GradCAM(model, [block]) as grad_cam:
        grad = interleaved({"ours": ours, "grad-cam": lambda: grad_cam(images, grad_targets)}, rounds)

    rows = []
    for case, times, peer, calls in (
        ("from images", whole, "torchcam", 1),
        ("from images", grad, "grad-cam", 1),
        ("from features", alone, "torchcam", REPEATS),
    ):
        rows.append(
            {
                "network": name,
                "batch": f"{batch} × {size}²",
                "case": case,
                "peer": peer,
                "ours, ms": f"{median(times['ours']) * 1e3 / calls:.3f}",
                "peer, ms": f"{median(times[peer]) * 1e3 / calls:.3f}",
                "ratio": f"{ratio(times, 'ours', peer):.2f}",
                "n": rounds,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(environment("torchcam", "grad-cam"), end="\n\n")
    print(table([row for size in SIZES for row in measure(*size, options.rounds)]))


if __name__ == "__main__":
    main()
