"""What a person says of a checkpoint by hand: the dialog, and what is remembered."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from camdrop.checkpoints import Checkpoint, load
from camdrop.checkpoints.overrides import recall
from tests.support.app_test import errors, press, settled, widget
from tests.support.checkpoint_files import headerless_file, network, torch_bytes

LETTERS = "\n".join("abcde")


def dialog(networks: dict[str, Checkpoint], memory: Path) -> AppTest:
    """The dialog alone: under AppTest, a page with it forgets it with the next click."""

    def script(networks, memory):  # without types: only its text is run
        import streamlit as st

        from ui.choosers.overrides import override

        st.session_state.setdefault("overrides.opened", 1)
        override("mine", networks, memory)

    return settled(AppTest.from_function(script, args=(networks, memory), default_timeout=60).run())


def test_described_and_remembered(tmp_path: Path) -> None:
    networks = {"mine": load(headerless_file(1), name="mine")}
    app = dialog(networks, tmp_path)
    assert app.info[0].value.startswith("What the file does not say is by convention") and app.caption[
        0
    ].value.startswith("5 of 5")
    assert widget(app.text_area, "Class names").value == "0\n1\n2\n3\n4"
    widget(app.text_area, "Class names").set_value("cat\ndog\n\n").run()
    assert app.caption[0].value == "2 of 5 classes have a name."
    assert errors(press(app, "Use this")) == [
        "2 class names were given, but the network has 5 classes: write one a line, in the order of its outputs."
    ]
    assert networks["mine"].meta.classes == tuple("01234") and not list(tmp_path.iterdir())

    widget(app.text_area, "Class names").set_value(LETTERS)
    widget(app.number_input, "Image size").set_value(48)
    widget(app.selectbox, "Normalisation").select("Numbers by hand").run()
    assert widget(app.text_input, "Mean").value == "0.4914, 0.4822, 0.4465"  # as it was, to start from
    widget(app.text_input, "Mean").set_value("0.5, x")
    assert errors(press(app, "Use this")) == ["'0.5, x' are no numbers: write such as 0.485, 0.456, 0.406."]
    widget(app.text_input, "Mean").set_value("0.1 0.2,0.3")
    widget(app.text_input, "Standard").set_value("0.25")
    assert not errors(press(app, "Use this"))
    meta = networks["mine"].meta
    assert (meta.classes, meta.image_size) == (tuple("abcde"), 48)
    assert (meta.mean, meta.std) == ((0.1, 0.2, 0.3), (0.25,) * 3)
    assert recall(tmp_path, load(headerless_file(1), name="again")).meta == meta and not app.info


def test_a_data_set_or_a_file_fills_in_the_class_names(tmp_path: Path) -> None:
    networks = {"mine": load(torch_bytes(network("resnet8", 10, 3).state_dict()), name="mine")}
    app = dialog(networks, tmp_path)
    data = widget(app.selectbox, "Data set")
    assert data.options == ["CIFAR-10", "Fashion-MNIST", "MNIST", "Another"] and data.value == "cifar10"
    data.select("fashion-mnist").run()
    assert widget(app.text_area, "Class names").value.startswith("T-shirt/top\nTrouser\n")
    widget(app.file_uploader, "… or").upload("names.json", b'{"a": 1}', "application/json").run()
    assert errors(app)[0].startswith("names.json holds no class names")
    widget(app.file_uploader, "… or").upload("names.txt", "\n".join("abcdefghij").encode(), "text/plain").run()
    assert not errors(app) and widget(app.text_area, "Class names").value == "\n".join("abcdefghij")
    widget(app.selectbox, "Data set").select("").run()
    widget(app.selectbox, "Normalisation").select("Pixels from −1 to 1").run()
    assert widget(app.text_input, "Mean").value == "0.5, 0.5, 0.5" and widget(app.text_input, "Mean").disabled
    assert not errors(press(app, "Use this"))
    meta = networks["mine"].meta
    assert (meta.dataset, meta.classes, meta.std) == ("", tuple("abcdefghij"), (0.5,) * 3)


def test_where_it_cannot_be_remembered_it_holds_for_now(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    networks = {"mine": load(headerless_file(1), name="mine")}
    app = dialog(networks, tmp_path / "file")
    widget(app.text_area, "Class names").set_value(LETTERS)
    press(app, "Use this")
    assert networks["mine"].meta.classes == tuple("abcde")
