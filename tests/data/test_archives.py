"""Archives as other programs pack them: read as the folder that was packed, or refused for the true reason."""

import io
import struct
import tarfile
import unicodedata
import zipfile

import pytest
import torch

from camdrop.data import load_dataset
from tests.support.image_folders import error_of, image_tree, write_folder, write_tar

TREE = image_tree(classes=("café", "Straße"))


def pack_zip(path, tree, name=lambda name: name.encode(), flag=0, method=zipfile.ZIP_STORED, extra=lambda name: b""):
    """A ZIP whose entries have any bytes as names, flags and method numbers, as zipfile itself writes no more."""
    with zipfile.ZipFile(path, "w") as archive:
        stand_ins = {}
        for i, (place, content) in enumerate(tree.items()):
            raw = name(place)
            stand_in = f"{i:04d}".encode().ljust(len(raw), b"-")
            assert len(stand_in) == len(raw)
            stand_ins[stand_in] = raw
            entry = zipfile.ZipInfo(stand_in.decode())
            entry.compress_type, entry.extra = method, extra(place)
            archive.writestr(entry, content)
    data = path.read_bytes()
    for stand_in, raw in stand_ins.items():
        data = data.replace(stand_in, raw)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        pieces = data.split(signature)
        data = signature.join(
            [pieces[0], *(p[: at - 4] + _or(p[at - 4 : at - 2], flag) + p[at - 2 :] for p in pieces[1:])]
        )
    path.write_bytes(data)
    return f"folder:{path}"


def _or(field, flag):
    return struct.pack("<H", struct.unpack("<H", field)[0] | flag)


def same(spec, tmp_path, tree=TREE):
    packed, plain = load_dataset(spec), load_dataset(write_folder(tmp_path / "plain", tree))
    assert packed.info.classes == plain.info.classes and packed.left_out == plain.left_out == ()
    assert torch.equal(packed.train.images, plain.train.images) and torch.equal(packed.test.labels, plain.test.labels)


def upath(name):
    field = b"\x01" + bytes(4) + name.encode()
    return struct.pack("<HH", 0x9999, 2) + b"??" + struct.pack("<HH", 0x7075, len(field)) + field


NAMES = {
    "UTF-8 without its flag": {"name": lambda n: n.encode()},
    "macOS: decomposed, without the flag": {"name": lambda n: unicodedata.normalize("NFD", n).encode()},
    "flagged and decomposed": {"name": lambda n: unicodedata.normalize("NFD", n).encode(), "flag": 1 << 11},
    "the DOS code page": {"name": lambda n: n.encode("cp437")},
    "a second name in UTF-8": {"name": lambda n: n.encode("ascii", "replace"), "extra": upath},
    "backslashes": {"name": lambda n: n.replace("/", "\\").encode(), "flag": 1 << 11},
    "some backslashes": {"name": lambda n: ("top/" + n.replace("/", "\\")).encode(), "flag": 1 << 11},
    "backslashes in the code page": {"name": lambda n: ("top\\" + n.replace("/", "\\")).encode("cp437")},
    "bzip2": {"method": zipfile.ZIP_BZIP2},
    "LZMA": {"method": zipfile.ZIP_LZMA},
}


@pytest.mark.parametrize("how", NAMES)
def test_zips_by_other_programs(tmp_path, how):
    same(pack_zip(tmp_path / "a.zip", TREE, **NAMES[how]), tmp_path)


@pytest.mark.parametrize("suffix", ["tar.bz2", "tbz2", "txz", "tgz"])
def test_tars_by_other_programs(tmp_path, suffix):
    odd = {unicodedata.normalize("NFD", name).replace("/", "\\"): content for name, content in TREE.items()}
    mode = "w:gz" if suffix == "tgz" else "w:xz" if suffix == "txz" else "w:bz2"
    same(write_tar(tmp_path / f"a.{suffix}", odd, mode), tmp_path)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_old_tars(tmp_path, form):
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        for name, content in TREE.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    same(f"folder:{tmp_path / 'a.tar'}", tmp_path)


def test_the_content_says_what_an_archive_is_not_the_suffix(tmp_path):
    same(pack_zip(tmp_path / "a.tar", TREE), tmp_path)
    (tmp_path / "plain.tar").write_bytes((tmp_path / "a.tar").read_bytes())
    same(write_tar(tmp_path / "b.zip", TREE, "w:gz"), tmp_path)


def test_one_class_in_two_forms_is_one_class(tmp_path):
    tree = {unicodedata.normalize("NFD" if "test" in n else "NFC", n): c for n, c in TREE.items()}
    assert load_dataset(write_folder(tmp_path / "a", tree)).info.classes == ("Straße", "café")
    assert load_dataset(pack_zip(tmp_path / "a.zip", tree)).info.classes == ("Straße", "café")
    capitals = {n.replace("test/café", "test/CAFÉ"): c for n, c in TREE.items()}
    assert load_dataset(write_folder(tmp_path / "b", capitals)).info.classes == ("Straße", "café")


@pytest.mark.parametrize(("number", "how"), [(9, "Deflate64"), (98, "PPMd"), (1, "Shrink"), (77, "number 77")])
def test_a_method_that_is_not_read_is_named(tmp_path, number, how):
    spec = pack_zip(tmp_path / "a.zip", TREE)
    data = (tmp_path / "a.zip").read_bytes()
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        pieces = data.split(signature)
        data = signature.join([pieces[0], *(p[: at - 4] + bytes([number, 0]) + p[at - 2 :] for p in pieces[1:])])
    (tmp_path / "a.zip").write_bytes(data)
    assert f"is packed by {how}, which is not read here: unpack it" in error_of(spec)


@pytest.mark.parametrize("flag", [1, 1 << 6 | 1])
def test_a_password_is_a_password(tmp_path, flag):
    assert "asks for a password" in error_of(pack_zip(tmp_path / "a.zip", TREE, flag=flag))


@pytest.mark.parametrize(
    ("head", "how"), [(b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a\x07", "RAR"), (b"\x04\x22\x4d\x18", "LZ4")]
)
def test_other_archives_are_named(tmp_path, head, how):
    (tmp_path / "a.zip").write_bytes(head + bytes(600))
    assert f"is packed by {how}" in error_of(f"folder:{tmp_path / 'a.zip'}")


def test_broken_names_and_fields_are_a_damaged_archive(tmp_path):
    flagged = pack_zip(tmp_path / "a.zip", TREE, name=lambda n: n.encode("latin-1"), flag=1 << 11)
    assert "cannot be read as an archive" in error_of(flagged)
    cut = pack_zip(tmp_path / "b.zip", TREE, extra=lambda n: b"\x75\x70\x09\x00\x01")
    assert "cannot be read as an archive" in error_of(cut)
