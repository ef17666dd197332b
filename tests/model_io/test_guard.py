"""What a model may read: every way out of its directory that advisories describe; the ways in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from onnx import ModelProto, TensorProto
from small_models import branch_model, constant_function, external, model, write_weight

from normonnx import model_io
from normonnx.errors import (
    InvalidModelError,
    NormonnxError,
    UnreadableModelError,
    UnsafeModelError,
)
from normonnx.model_io.loading import tensors_of

HOLDERS: dict[str, Callable[[TensorProto], ModelProto]] = {
    "initializer": model,
    "subgraph": branch_model,
    "function": lambda tensor: model(functions=(constant_function(tensor),)),
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A directory for the model, with a secret beside it."""
    write_weight(tmp_path / "secret.bin")
    directory = tmp_path / "house"
    directory.mkdir()
    return directory


def put(directory: Path, proto: ModelProto) -> Path:
    path = directory / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("holder", HOLDERS)
def test_data_beside_the_model_is_read_wherever_the_tensor_is(house: Path, holder: str) -> None:
    content = write_weight(house / "w.bin")
    loaded = model_io.load(put(house, HOLDERS[holder](external("w", "w.bin"))))
    lazy = [t for t in tensors_of(loaded.model) if isinstance(t, ir.ExternalTensor)]
    assert [tensor.numpy().tobytes() for tensor in lazy] == [content]
    assert loaded.external


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("bare", [True, False], ids=["bare name", "absolute path"])
def test_escape_is_refused_wherever_the_tensor_is(
    house: Path, holder: str, bare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(house, HOLDERS[holder](external("w", "../secret.bin")))
    monkeypatch.chdir(house)
    with pytest.raises(UnsafeModelError, match="escapes the model's directory") as caught:
        model_io.load("m.onnx" if bare else path)
    assert "tensor 'w' in m.onnx -> '../secret.bin'" in str(caught.value)
    assert "--allow-data-dir" in caught.value.hint


LOCATIONS = {
    "absolute": (lambda house: str(house.parent / "secret.bin"), "must be a relative path"),
    "absolute, inside": (lambda house: str(house / "w.bin"), "must be a relative path"),
    "detour": (lambda _: "sub/../../secret.bin", "escapes"),
    "null byte": (lambda _: "w.bin\0.txt", "must be a relative path"),
    "empty": (lambda _: "", "without a location"),
    "memory address": (lambda _: "*/_ORT_MEM_ADDR_/*", "address in memory"),
    "symlinked file": (lambda _: "link.bin", "escapes"),
    "symlinked directory": (lambda _: "up/secret.bin", "escapes"),
    "directory": (lambda _: "sub", "not a regular file"),
    "device": (lambda _: "null", "escapes"),
    "fifo": (lambda _: "fifo", "not a regular file"),
    "hard link": (lambda _: "hard.bin", "2 hard links"),
}


@pytest.mark.parametrize("case", LOCATIONS)
def test_location_is_refused(house: Path, case: str) -> None:
    write_weight(house / "w.bin")
    write_weight(house / "other.bin")
    (house / "sub").mkdir()
    (house / "link.bin").symlink_to("../secret.bin")
    (house / "up").symlink_to("..")
    (house / "null").symlink_to(os.devnull)
    os.mkfifo(house / "fifo")
    os.link(house / "other.bin", house / "hard.bin")
    location, sentence = LOCATIONS[case]
    with pytest.raises(NormonnxError, match=sentence) as caught:
        model_io.load(put(house, model(external("w", location(house)))))
    assert isinstance(caught.value, UnsafeModelError | InvalidModelError)


FIELDS = {
    "negative offset": ({"offset": -4}, "offset of external data is '-4'"),
    "negative length": ({"length": -1}, "length of external data is '-1'"),
    "hexadecimal": ({"offset": "0x10"}, "offset of external data is '0x10'"),
    "other digits": ({"offset": "٤"}, "offset of external data"),
    "huge": ({"offset": 10**30}, "offset of external data"),
    "behind the end": ({"offset": 4}, "would end at byte 2052, the file at 2048"),
    "short length": ({"length": 2044}, "2044 bytes long, its type and shape need 2048"),
    "attribute injection": ({"__class__": "x"}, "unknown or repeated key '__class__'"),
    "base path": ({"basepath": "/"}, "unknown or repeated key 'basepath'"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_offset_length_and_keys_are_checked(house: Path, case: str) -> None:
    write_weight(house / "w.bin")
    fields, sentence = FIELDS[case]
    with pytest.raises(NormonnxError, match=sentence):
        model_io.load(put(house, model(external("w", "w.bin", **fields))))


def test_shape_that_the_file_cannot_hold_is_refused(house: Path) -> None:
    write_weight(house / "w.bin")
    with pytest.raises(UnreadableModelError, match="truncated or belongs to another"):
        model_io.load(put(house, model(external("w", "w.bin", rows=8, columns=1 << 40))))
    negative = external("w", "w.bin", rows=8, columns=-64)
    with pytest.raises(InvalidModelError, match="negative"):
        model_io.load(put(house, model(negative)))
    strings = external("w", "w.bin")
    strings.data_type = TensorProto.STRING
    with pytest.raises(InvalidModelError, match="has no size in bytes"):
        model_io.load(put(house, model(strings)))


def test_missing_file_is_named(house: Path) -> None:
    with pytest.raises(UnreadableModelError, match="missing") as caught:
        model_io.load(put(house, model(external("w", "w.bin"))))
    assert "'w.bin'" in str(caught.value)


def test_offset_selects_the_part_of_the_file(house: Path) -> None:
    content = write_weight(house / "w.bin", rows=16)
    tensor = external("w", "w.bin", offset=2048, length=2048, checksum="abc")
    loaded = model_io.load(put(house, model(tensor)))
    assert loaded.model.graph.initializers["w"].const_value.numpy().tobytes() == content[2048:]


def hugging_face_cache(tmp_path: Path) -> Path:
    """``snapshots/<rev>/{model,data}`` are links to ``blobs/<sha>``, as the hub lays them out."""
    blobs = tmp_path / "models--x" / "blobs"
    snapshot = tmp_path / "models--x" / "snapshots" / "rev"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    write_weight(blobs / "f00d")
    (blobs / "cafe").write_bytes(model(external("w", "model.onnx_data")).SerializeToString())
    (snapshot / "model.onnx").symlink_to("../../blobs/cafe")
    (snapshot / "model.onnx_data").symlink_to("../../blobs/f00d")
    return snapshot / "model.onnx"


def test_hugging_face_cache_works(tmp_path: Path) -> None:
    path = hugging_face_cache(tmp_path)
    loaded = model_io.load(path)
    assert loaded.name == "model.onnx"
    expected = (path.parent / "model.onnx_data").read_bytes()
    assert loaded.model.graph.initializers["w"].const_value.numpy().tobytes() == expected


def test_links_of_an_untrusted_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeModelError, match="untrusted model is a link"):
        model_io.load(hugging_face_cache(tmp_path), untrusted=True)


def test_link_to_the_model_finds_the_data_beside_the_file(house: Path, tmp_path: Path) -> None:
    content = write_weight(house / "w.bin")
    put(house, model(external("w", "w.bin")))
    link = tmp_path / "latest.onnx"
    link.symlink_to(house / "m.onnx")
    loaded = model_io.load(link)
    assert loaded.model.graph.initializers["w"].const_value.tobytes() == content


def test_allowed_directory_opens_that_directory_only(house: Path, tmp_path: Path) -> None:
    content = write_weight(tmp_path / "secret.bin")
    (tmp_path / "other").mkdir()
    path = put(house, model(external("w", "../secret.bin")))
    with pytest.raises(UnsafeModelError):
        model_io.load(path, allow_data_dir=[tmp_path / "other"])
    loaded = model_io.load(path, allow_data_dir=[tmp_path])
    assert loaded.model.graph.initializers["w"].const_value.numpy().tobytes() == content


def test_hard_links_are_read_when_allowed_unless_untrusted(house: Path, tmp_path: Path) -> None:
    os.link(tmp_path / "secret.bin", house / "w.bin")
    path = put(house, model(external("w", "w.bin")))
    with pytest.raises(UnsafeModelError, match="--allow-hardlinks"):
        model_io.load(path)
    loaded = model_io.load(path, allow_hardlinks=True)
    assert loaded.model.graph.initializers["w"].const_value.numpy()[0, 1] == np.float32(1 / 7)
    with pytest.raises(UnsafeModelError):
        model_io.load(path, allow_hardlinks=True, untrusted=True)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_model_from_memory_has_no_directory(
    house: Path, as_bytes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_weight(house / "w.bin")
    monkeypatch.chdir(house)
    proto = model(external("w", "w.bin"))
    source = proto.SerializeToString() if as_bytes else proto
    with pytest.raises(UnsafeModelError, match="comes from no directory"):
        model_io.load(source)
    loaded = model_io.load(source, allow_data_dir=[house])
    assert loaded.model.graph.initializers["w"].const_value.numpy().tobytes() == content


def test_nothing_is_read_before_it_is_touched(house: Path) -> None:
    """A sparse file of 64 GiB loads at once."""
    with (house / "w.bin").open("wb") as file:
        file.truncate(64 << 30)
    tensor = external("w", "w.bin", rows=1 << 17, columns=1 << 17)
    loaded = model_io.load(put(house, model(tensor)))
    assert loaded.nbytes > 64 << 30
    assert loaded.model.graph.initializers["w"].dtype == ir.DataType.FLOAT
