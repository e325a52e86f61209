"""The guided tour as data: eight lessons, each a state of the app with a paragraph, a question and its answer.

Sources are of the paper (Wang et al., CIKM 2019); numbers that are ours say of what they were measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

NETWORKS = tuple(f"fashion-resnet8-{method}" for method in ("baseline", "dropblock", "camdrop"))
GUIDED = NETWORKS[-1]
QUESTION = "Eight short lessons. In each: read, predict, try, then open the answer."
LEAKY, LEAK_FREE = "fashion-noise-resnet8-camdrop-leaky", "fashion-noise-resnet8-camdrop"  # of lesson 4


@dataclass(frozen=True)
class Slider:
    """A live slider; `parameter` is what the link of the lesson's page calls it."""

    parameter: str
    label: str
    default: float
    min: float
    max: float
    step: float


@dataclass(frozen=True)
class Choice:
    """One of a few, in the same way; the first is the default."""

    parameter: str
    label: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Lesson:
    """`page` is the path of a page of the app, and `state` its query parameters but the one of `control`."""

    title: str
    text: str
    source: str
    question: str
    answer: str
    control: Slider | Choice
    page: str
    page_title: str
    state: dict[str, str | tuple[str, ...]] = field(default_factory=dict)

    def link(self, value: object) -> str:
        """The address of the lesson's state, with the control at `value`; relative, from any page of the app."""
        return f"./{self.page}?{urlencode(self.state | {self.control.parameter: str(value)}, doseq=True)}"


LESSONS = (
    Lesson(
        "What a class activation map is",
        "A network of this kind ends in two simple steps. It takes the mean of each *channel* (a picture of where one "
        "pattern was found), and adds these means up with a weight for each class. Swap the two steps: add the "
        "channels up first, with the weights of one class, called **α**. That gives a map J, the **class activation "
        "map** (CAM). It says how much each place of the image speaks for the class, or against it. Its mean, the "
        "last number under the picture, is the class's score, up to a constant.",
        "Section 3.3, Eq. 1 and 5",
        "This is a bag, and the network is sure of it. Now ask for the map of *Sneaker*. Will it be empty?",
        "No. Every class has weights of its own, so every class has a map, also a class that is not there. Look at "
        "the numbers under the picture: the map for *Bag* goes up to about 24, the one for *Sneaker* from about −8 to "
        "6, with a mean below zero. Colours run from the lowest to the highest value of each map, so a bright spot "
        "alone proves little. Read the numbers too.",
        Choice("class", "Map of the class", ("Bag", "Sneaker", "Sandal", "Shirt", "Trouser")),
        "",
        "Explore",
        {"checkpoints": (NETWORKS[0],), "image": "19"},
    ),
    Lesson(
        "Five ways to drop",
        "**Dropout** sets some numbers inside a network to zero while it learns, by tossing coins. Each coin keeps "
        "with probability **γ** (gamma). The five methods differ in what one coin decides: a single number (Dropout), "
        "a whole channel (SpatialDropout), a square block in one channel (DropBlock), or all that a part of the "
        "network puts out (DropPath). CamDrop drops blocks as well, but not just anywhere: it asks the class "
        "activation map first. Orange is what is dropped; the pictures show eight of this place's 32 channels. Drag a "
        "block, or press its arrow keys, to turn it.",
        "Section 3.2, Eq. 2–4, Figure 1",
        "All five have the same γ = 0.9: each coin drops once in ten times. Which method now drops about a tenth, "
        "which all or nothing, which far less? Guess first, then read *dropped*, and move γ.",
        "Dropout and DropBlock drop about a tenth. SpatialDropout does so on average, but tosses only 32 coins here, "
        "so it varies. DropPath tosses one coin: it drops all or nothing, and in this draw it drops all. CamDrop "
        "drops far less, under 2 %, for it tosses coins at only 40 of 6,272 places. The paper calls γ the retaining "
        "rate; for CamDrop, that is not the share that is kept. Lesson 5 says why.",
        Slider("gamma", "Keep rate γ", 0.9, 0.0, 1.0, 0.01),
        "five_methods",
        "Five methods",
        {"checkpoint": GUIDED, "image": "19", "site": "layer2.0.conv2", "r": "4", "seed": "3"},
    ),
    Lesson(
        "Why blocks",
        "In a picture, neighbours are alike. If one number of a channel is dropped, those beside it still tell nearly "
        "the same, so the network hardly misses it. This is the argument of DropBlock (Ghiasi et al., 2018), on which "
        "CamDrop builds: drop a square of **r × r** neighbours, and the whole pattern at that place is gone. With r = "
        "1, DropBlock is Dropout. The CamDrop paper takes r = 8 on CIFAR-10, the full side of the last and smallest "
        "maps there. (The channels are in the order of their α for the class *Bag*, as in lesson 1; DropBlock does "
        "not ask for it.)",
        "Sections 2, 3.2 and 4.1; reference [9]",
        "γ stays 0.9, and you make r larger. Does DropBlock drop more and more? Guess: with r = 8, "
        "how much larger is *Share dropped* than with r = 1?",
        "Hardly at all: it stays near 10 %. A block of side r takes r² numbers, so DropBlock makes the chance that one "
        "starts about r² times smaller. What changes is the shape: few large holes in place of many small ones. (Over "
        "many draws the share even falls a little, from 10.0 to 9.2 % here, as blocks overlap: read *Mean of 100 "
        "draws*. One draw of large blocks tells less.)",
        Slider("r", "Block size r", 1, 1, 8, 1),
        "mask_lab",
        "Mask lab",
        {
            "checkpoint": GUIDED,
            "image": "19",
            "method": "DropBlock",
            "site": "layer1.0.conv2",
            "gamma": "0.9",
            "seed": "3",
        },
    ),
    Lesson(
        "What guidance picks",
        "CamDrop wants the network to look for more evidence than the most obvious. So it hides the obvious. "
        "**Where?** At the places where the class activation map J is largest (1, 2). **In which channels?** In the "
        "eighth of them with the largest weights α for the class (3). Where both meet and a whole block fits, a coin "
        "is tossed (4). The paper reports that both guides help: 4.19 % error on CIFAR-10, against 5.07 % if the mean "
        "of all channels guides, and 4.51 % if all channels take part. Here nine sites are masked at once, as in the "
        "training of this network (γ = 0.9, r = 8). The pictures show one of them; below is what two networks answer.",
        "Section 3.3, Eq. 5–9; Tables 2 and 3",
        "Keep image, network and coins, and only name another class as the label, say *Sneaker*. "
        "Will the holes stay where they are? And will the network still see a bag?",
        "The holes move: the map and the weights are those of the label. In training the label is the true answer. So "
        "the holes tell the layers behind them the answer: **the mask leaks the label**. This network has learned to "
        "read it: with masks for *Sneaker* it takes the bag for a sneaker, in 67 of 100 draws. When it is tested "
        "nothing is masked, and that hint is gone: it errs on 57.1 % of new images, more than a network trained "
        "without any dropout (40.1 %). The last network was trained with masks for the class that it predicts itself "
        "(γ = 0.9, r = 4). They tell nothing that the image does not, so it has not learned to obey: the bag becomes "
        "a sneaker in none of 100 draws, and it errs on 27.9 %. (ResNet-8, 1,000 images of Fashion-MNIST, 40 % of "
        "their labels drawn anew.) The paper does not speak of this.",
        Choice("label", "Label y", ("Bag", "Sneaker", "Sandal", "Trouser")),
        "mask_lab",
        "Mask lab",
        {
            "checkpoint": LEAKY,
            "image": "19",
            "site": "layer1.0.conv2",
            "training": "true",
            "gamma": "0.9",
            "r": "8",
            "seed": "341",
        },
    ),
    Lesson(
        "How much is dropped, and why the readings differ",
        "The paper's text and its authors' code do not say the same about how often a candidate place loses its "
        "block. We offer three **readings**. *paper*: with probability 1 − γ, as the equations say. *official*: with "
        "DropBlock's probability, as in the authors' public code; it is about r² times smaller, as it was made for "
        "all places, not a chosen few. *matched*: ours; as often as it takes to drop 1 − γ of all numbers, or as near "
        "as the candidates allow.",
        "Section 3.3, Eq. 6, 8 and 9; Section 4.1. The readings are ours",
        "Take *paper*, γ = 0.9. CamDrop looks at 1 channel in 8 and 1 place in r². A coin drops 1 time in 10, and a "
        "block has r² numbers. Which share of all numbers is dropped, on average, at most? Work it out, then look.",
        "1/8 × 1/r² × 1/10 × r² = 1/80, or 1.25 %. Less in truth: blocks overlap, and near the edge a whole block "
        "does not fit. In the picture, r = 4, it is under 1 % in each of the three stages, against 9–10 % for "
        "DropBlock; *official* drops a tenth to a quarter of that. The paper's r = 8 leaves less: with places picked "
        "evenly 0.73, 0.39 and 0.02 % in the stages of a CIFAR ResNet. Even *matched* falls short here: when every "
        "candidate is dropped, there is nothing left to take. So two people who both write “CamDrop, γ = 0.9” may "
        "mean very different things.",
        Choice("reading", "Reading of the paper", ("paper", "official", "matched")),
        "mask_lab",
        "Mask lab",
        {"checkpoint": GUIDED, "image": "19", "site": "layer2.0.conv2", "gamma": "0.9", "r": "4", "seed": "3"},
    ),
    Lesson(
        "What it does to gradients",
        "A network learns by **gradients**: how much the error changes with each of its numbers, here the biases *b*. "
        "The paper gives an upper bound for them: |∂L/∂b| is at most ‖∂S/∂b‖₁: how much each class score S changes "
        "with b, added up without the signs (Eq. 15). That always holds. It then says that masks make this bound "
        "smaller, and CamDrop smaller than other dropout (Eq. 16), so that training stays calm even at high learning "
        "rates. The picture shows each bound with a mask, divided by the one without: one for each *pair* of an image "
        "and a bias.",
        "Section 3.4, Eq. 13–16; Section 4.2",
        "What is dropped passes no gradient on. So a mask can only make the bound smaller, left of 1. True? "
        "Predict, look, and then switch *Rescaled* off.",
        "Not as in training. What is kept is *scaled up* to make up for what is dropped (Eq. 10), and that makes many "
        "bounds larger: here DropBlock loosens 72 % of them, by about 10 %, and CamDrop 74 %, by about 1 %: its peak "
        "is just right of 1. Without the rescaling none grows at this last layer: those at 1 stay as they are. At "
        "earlier layers some grow even then, as later layers see other numbers. So Eq. 15 is sure; Eq. 16 is not. "
        "(ResNet-8 on Fashion-MNIST, 32 images, γ = 0.9, r = 4.)",
        Choice("rescaled", "Rescaled", ("true", "false")),
        "gradients",
        "Gradients",
        {
            "checkpoint": GUIDED,
            "images": "32",
            "gamma": "0.9",
            "r": "4",
            "layers": ("layer3.0.conv2",),
            "layer": "layer3.0.conv2",
        },
    ),
    Lesson(
        "What it does to heatmaps",
        "Why hide the obvious? So that the network finds *all* parts that speak for a class, and leans less on a "
        "single one. The paper shows class activation maps of a few ImageNet photos and says that CamDrop's network "
        "catches more of what matters. Here are three small networks of ours, alike but for the dropout in their "
        "training. Nothing is dropped now. *Above half of the maximum* is the share of the image that is bright.",
        "Sections 1, 3.3 and 4.1, Figure 3",
        "Whose map covers most of this bag? Now predict: will it be the same network for other images? Try ten.",
        "No, it changes from image to image, so a few chosen pictures prove little. Over the 10,000 test images the "
        "share of the image above half of the maximum is 33.4 % (baseline), 29.2 % (DropBlock) and 33.6 % (CamDrop). "
        "So CamDrop's network looks wider than the baseline's by 0.2 points (95 % interval 0.0 to 0.3), which is next "
        "to nothing. That is one small network of each kind on Fashion-MNIST, and CamDrop in the *official* reading, "
        "which drops very little. Five networks of each kind that were trained on 1,000 images, 40 % of their labels "
        "drawn anew, say no more: CamDrop guided by the predicted class looks wider than the baseline by 1.0 points "
        "(95 % interval over the networks −0.5 to 2.6). The paper's are ResNet-50 on ImageNet: ours do not settle what "
        "theirs do.",
        Slider("image", "Image", 19, 1, 1000, 1),
        "",
        "Explore",
        {"checkpoints": NETWORKS},
    ),
    Lesson(
        "Try to fool it",
        "An **attack** changes an image a little, so that people see no difference but the network errs. This one "
        "(PGD) knows the network: it takes steps that make a wrong class, the target, more likely. A step moves a "
        "pixel by 1 of 255, and all steps together by ε = 16 at most. The pictures of the three networks show what "
        "was made of the image for each. The paper attacks with 2 steps and ε = 5. With CamDrop, it reports, 20.16 % "
        "of the attacks reach their target in place of 30.89 %.",
        "Section 4.3, Table 7",
        "Which network gives in first, and after how many steps? And does a limit of ε = 5 matter with 2 steps of 1?",
        "Here the baseline and CamDrop give in after 7 steps, DropBlock after 9. Two steps of 1 move a pixel by 2 at "
        "most: ε = 5 plays no part. On the 10,000 test images, two steps of 1 reach the target in 4.3 (baseline), 3.5 "
        "(DropBlock) and 4.6 % (CamDrop), each ± 0.4: hardly a difference, of one small network of each kind and "
        "CamDrop in the *official* reading. Where networks have learnt wrong labels by heart (1,000 images, 40 % of "
        "their labels drawn anew, five seeds) it is 26.1 % for the baseline, 7.2 for DropBlock and 7.0 for CamDrop "
        "guided by the predicted class: there every dropout helps alike. The paper's network is ResNet-50 on ImageNet.",
        Slider("iterations", "Steps of the attack", 2, 1, 20, 1),
        "attack",
        "Attack",
        {"checkpoints": NETWORKS, "image": "100", "epsilon": "16", "step": "1"},
    ),
)
