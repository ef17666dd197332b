"""A save leaves the old model or the new one, whole, and keeps weights on disk as it should."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import branch_model, constant_function, external, model, weight, write_weight

from normonnx import model_io
from normonnx.errors import UnreadableModelError, WriteError
from normonnx.model_io import saving
from normonnx.model_io.contents import contents_of
from normonnx.model_io.layout import data_stem, is_own_data


@pytest.fixture
def loaded() -> model_io.LoadedModel:
    return model_io.load(model())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def outputs(path: Path) -> np.ndarray[Any, Any]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
    return np.asarray(session.run(None, {"x": x})[0])


def test_single_file(loaded: model_io.LoadedModel, tmp_path: Path) -> None:
    saved = model_io.save(loaded.model, tmp_path / "m.onnx")
    content = saved.path.read_bytes()
    assert names(tmp_path) == ["m.onnx"]
    assert (saved.nbytes, saved.data) == (len(content), None)
    assert saved.sha256 == hashlib.sha256(content).hexdigest()
    assert content == model_io.dump(loaded.model)


def test_external_stays_external(tmp_path: Path) -> None:
    write_weight(tmp_path / "w.bin")
    (tmp_path / "m.onnx").write_bytes(model(external("w", "w.bin")).SerializeToString())
    before = outputs(tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    source = model_io.load(tmp_path / "m.onnx")
    saved = model_io.save(source.model, tmp_path / "out" / "m.onnx")
    assert saved.data is not None
    assert names(tmp_path / "out") == [saved.data.name, "m.onnx"]
    assert is_own_data(saved.data.name, "m.onnx")
    assert np.array_equal(outputs(saved.path), before)
    inlined = model_io.save(source.model, tmp_path / "one.onnx", external_data=False)
    assert inlined.data is None
    assert np.array_equal(outputs(inlined.path), before)


@pytest.mark.parametrize("external_data", [False, True])
def test_same_model_same_bytes(tmp_path: Path, external_data: bool) -> None:
    digests = set()
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        fresh = model_io.load(model(weight(), weight("v", 40, 70))).model
        saved = model_io.save(fresh, tmp_path / run / "m.onnx", external_data=external_data)
        digests.add((saved.sha256, saved.data and saved.data.read_bytes()))
    assert len(digests) == 1


def test_saving_leaves_the_model_alone(loaded: model_io.LoadedModel, tmp_path: Path) -> None:
    before = ir.to_proto(loaded.model).SerializeToString(deterministic=True)
    model_io.save(loaded.model, tmp_path / "m.onnx", external_data=True)
    assert ir.to_proto(loaded.model).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    "build", [branch_model, lambda t: model(functions=(constant_function(t),))]
)
@pytest.mark.parametrize("external_data", [False, True])
def test_tensors_of_subgraphs_and_functions_are_saved(
    tmp_path: Path, build: Callable[[TensorProto], onnx.ModelProto], external_data: bool
) -> None:
    content = write_weight(tmp_path / "w.bin")
    path = tmp_path / "m.onnx"
    path.write_bytes(build(external("v", "w.bin")).SerializeToString())
    saved = model_io.save(
        model_io.load(path).model, tmp_path / "new.onnx", external_data=external_data
    )
    (tmp_path / "w.bin").unlink()
    back = onnx.load(saved.path)
    held = [tensor for tensor in contents_of(back).tensors if tensor.name == "v"]
    assert [numpy_helper.to_array(tensor).tobytes() for tensor in held] == [content]


TYPES = [
    np.float16,
    ml_dtypes.bfloat16,
    np.float64,
    np.int8,
    np.bool_,
    np.complex64,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.int4,
]


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_goes_out_and_comes_back(tmp_path: Path, dtype: Any) -> None:
    values = (np.arange(4096 * 3) % 7).astype(dtype).reshape(3, 4096)
    first = model(weight())
    first.graph.initializer.append(ir.to_proto(ir.tensor(values, name="v")))
    out = model_io.save(model_io.load(first).model, tmp_path / "a.onnx", external_data=True)
    lazy = model_io.load(out.path).model
    assert isinstance(lazy.graph.initializers["v"].const_value, ir.ExternalTensor)
    model_io.save(lazy, tmp_path / "b.onnx", external_data=False)
    back = model_io.load(tmp_path / "b.onnx").model.graph.initializers["v"].const_value
    assert np.array_equal(back.numpy().view(np.uint8), values.view(np.uint8))


def test_strings_and_small_tensors_stay_in_the_proto(tmp_path: Path) -> None:
    words = helper.make_tensor("s", TensorProto.STRING, [400], [b"word"] * 400)
    proto = model(weight(), words, weight("small", 2, 4))
    saved = model_io.save(model_io.load(proto).model, tmp_path / "m.onnx", external_data=True)
    back = onnx.load(saved.path, load_external_data=False)
    assert [len(t.external_data) > 0 for t in back.graph.initializer] == [True, False, False]


def test_shared_data_is_written_once(tmp_path: Path) -> None:
    write_weight(tmp_path / "w.bin")
    tensors = [external(name, "w.bin") for name in ("w", "v")]
    (tmp_path / "m.onnx").write_bytes(model(*tensors).SerializeToString())
    saved = model_io.save(model_io.load(tmp_path / "m.onnx").model, tmp_path / "new.onnx")
    assert saved.data is not None
    assert saved.data.stat().st_size == 2048


def test_over_the_source_while_it_is_mapped(tmp_path: Path) -> None:
    write_weight(tmp_path / "w.bin")
    path = tmp_path / "m.onnx"
    path.write_bytes(model(external("w", "w.bin")).SerializeToString())
    before = outputs(path)
    loaded = model_io.load(path)
    mapped = loaded.model.graph.initializers["w"].const_value.numpy()
    first = model_io.save(loaded.model, path)
    again = model_io.load(path)
    second = model_io.save(again.model, path)
    assert first.data == second.data
    assert np.array_equal(outputs(path), before)
    assert np.array_equal(mapped, numpy_helper.to_array(weight()))
    assert names(tmp_path) == [second.data.name if second.data else "", "m.onnx", "w.bin"]


def test_old_data_of_ours_goes_and_other_data_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    first = model_io.save(model_io.load(model(weight())).model, path, external_data=True)
    assert first.data is not None
    stranger = tmp_path / "m.0123456789ab.data"
    stranger.write_bytes(b"not referenced by the model that is replaced")
    second = model_io.save(model_io.load(model(weight("w", 8, 96))).model, path, external_data=True)
    assert second.data is not None
    assert names(tmp_path) == sorted([second.data.name, "m.onnx", stranger.name])
    (tmp_path / "copy.onnx").write_bytes(path.read_bytes())
    model_io.save(model_io.load(model()).model, path, external_data=False)
    assert second.data.exists(), "copy.onnx still reads it"


FAILURES = {
    "no space": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "interrupted": KeyboardInterrupt(),
    "out of memory": MemoryError(),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failure_at_any_step_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int, failure: str
) -> None:
    path = tmp_path / "m.onnx"
    old = model_io.save(model_io.load(model(weight())).model, path, external_data=True)
    before = names(tmp_path)
    new = model_io.load(model(weight("w", 8, 96))).model
    real = getattr(os, call)
    calls = 0

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == step:
            raise FAILURES[failure]
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, failing)
    raised: BaseException | None = None
    try:
        saved = model_io.save(new, path, external_data=True)
    except (WriteError, KeyboardInterrupt, MemoryError) as error:
        raised = error
    monkeypatch.undo()
    assert onnx.load(path).graph.initializer[0].dims[1] in (64, 96)
    if calls < step:
        assert raised is None
        assert names(tmp_path) == sorted([saved.data.name if saved.data else "", "m.onnx"])
    elif call == "fsync" and step == 4:
        assert onnx.load(path).graph.initializer[0].dims[1] == 96, "already decided"
    else:
        assert raised is not None
        assert names(tmp_path) == before
        assert hashlib.sha256(path.read_bytes()).hexdigest() == old.sha256


def test_several_at_once_leave_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    models = [model_io.load(model(weight("w", 8, 64 + n))).model for n in range(4)]

    def save(number: int) -> None:
        model_io.save(models[number % 4], path, external_data=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(60)))
    loaded = model_io.load(path).model.graph.initializers["w"].const_value
    assert np.array_equal(loaded.numpy(), numpy_helper.to_array(weight("w", 8, loaded.shape[1])))
    assert len(names(tmp_path)) == 2, "the model and its data, nothing of the others"


def test_missing_directory_and_special_destinations(
    loaded: model_io.LoadedModel, tmp_path: Path
) -> None:
    with pytest.raises(WriteError, match="No such file or directory"):
        model_io.save(loaded.model, tmp_path / "no" / "m.onnx")
    with pytest.raises(WriteError, match="is a directory"):
        model_io.save(loaded.model, tmp_path)
    assert names(tmp_path) == []


def test_devices_and_pipes_are_written_into(loaded: model_io.LoadedModel, tmp_path: Path) -> None:
    before = os.lstat(os.devnull)
    saved = model_io.save(loaded.model, os.devnull)
    model_io.write_bytes(Path(os.devnull), b"x")
    after = os.lstat(os.devnull)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert saved.sha256 == hashlib.sha256(model_io.dump(loaded.model)).hexdigest()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        model_io.save(loaded.model, pipe)
        assert hashlib.sha256(os.read(reader, 1 << 20)).hexdigest() == saved.sha256
        model_io.write_bytes(pipe, b"a report")
        assert os.read(reader, 100) == b"a report"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)
    assert names(tmp_path) == ["pipe"]


def test_an_open_file_by_its_number_is_written_into(tmp_path: Path) -> None:
    """As /dev/stdout is, when it goes to a file: a rename would tear the two apart."""
    with (tmp_path / "log").open("wb") as file:
        file.write(b"before ")
        file.flush()
        inode = os.fstat(file.fileno()).st_ino
        link = tmp_path / "link"
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        if not link.exists():
            pytest.skip("there is no /proc here")
        model_io.write_bytes(link, b"after")
    assert link.is_symlink()
    assert (tmp_path / "log").stat().st_ino == inode
    assert (tmp_path / "log").read_bytes() == b"before after"


def test_permissions(loaded: model_io.LoadedModel, tmp_path: Path) -> None:
    old_mask = os.umask(0o027)
    try:
        fresh = model_io.save(loaded.model, tmp_path / "fresh.onnx", external_data=True)
    finally:
        os.umask(old_mask)
    assert fresh.data is not None
    for path in (fresh.path, fresh.data):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    fresh.path.chmod(0o604)
    model_io.save(loaded.model, fresh.path)
    assert stat.S_IMODE(fresh.path.stat().st_mode) == 0o604


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_written_through(
    loaded: model_io.LoadedModel, tmp_path: Path, there: bool
) -> None:
    target, link = tmp_path / "blobs" / "blob", tmp_path / "m.onnx"
    target.parent.mkdir()
    if there:
        target.write_bytes(b"old")
    link.symlink_to(target)
    saved = model_io.save(loaded.model, link, external_data=True)
    assert link.is_symlink()
    assert (saved.path, saved.data and saved.data.parent) == (target, target.parent)
    assert names(tmp_path) == ["blobs", "m.onnx"]
    assert np.array_equal(
        model_io.load(link).model.graph.initializers["w"].const_value.numpy(),
        numpy_helper.to_array(weight()),
    )
    model_io.write_bytes(link, b"a report")
    assert link.is_symlink()
    assert target.read_bytes() == b"a report"


def _with_data(path: Path, location: str = "w.bin") -> Path:
    """A model whose weight lies in a data file of another tool's naming."""
    onnx.save(model(weight()), path, save_as_external_data=True, location=location,
              size_threshold=0)  # fmt: skip
    return path.parent / location


def _saved_in_place(path: Path) -> model_io.SavedModel:
    loaded = model_io.load(path)
    return model_io.save(loaded.give(), path, in_place=True)


def test_in_place_a_data_file_of_another_naming_stays(tmp_path: Path) -> None:
    """A backup, or a model in another directory, may need it."""
    path = tmp_path / "m.onnx"
    data = _with_data(path)
    saved = _saved_in_place(path)
    assert (saved.removed, saved.left) == ((), (data,))
    assert saved.data is not None
    assert names(tmp_path) == sorted(["m.onnx", data.name, saved.data.name])
    assert np.array_equal(
        model_io.load(path).model.graph.initializers["w"].const_value.numpy(),
        numpy_helper.to_array(weight()),
    )
    assert _saved_in_place(path).removed == (), "the same weights have the same name"


def test_in_place_a_data_file_that_another_model_reads_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    data = _with_data(path)
    shutil.copy(path, tmp_path / "other.onnx")
    saved = _saved_in_place(path)
    assert (saved.removed, saved.left) == ((), (data,))
    assert data.exists()


def test_a_data_file_of_two_names_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    data = _with_data(path)
    os.link(data, tmp_path / "elsewhere.bin")
    loaded = model_io.load(path, allow_hardlinks=True)
    saved = model_io.save(loaded.give(), path, in_place=True)
    assert (saved.removed, saved.left) == ((), (data,))


def test_a_stranger_that_is_replaced_keeps_its_data(tmp_path: Path) -> None:
    data = _with_data(tmp_path / "m.onnx")
    saved = model_io.save(model_io.load(model(weight())).give(), tmp_path / "m.onnx")
    assert (saved.removed, saved.left) == ((), ())
    assert data.exists()


def test_no_model_is_written_over_its_own_weights(tmp_path: Path) -> None:
    data = _with_data(tmp_path / "m.onnx")
    before = data.read_bytes()
    with pytest.raises(WriteError, match="over its own weights"):
        model_io.save(model_io.load(tmp_path / "m.onnx").model, data)
    assert data.read_bytes() == before


@pytest.mark.parametrize("stem", ["n" * 250, "späti", "a\\b", "new\nline", "\udcff", ".onnx"])
def test_any_file_name_gets_a_data_file(
    loaded: model_io.LoadedModel, tmp_path: Path, stem: str
) -> None:
    path = tmp_path / f"{stem}.onnx"
    saved = model_io.save(loaded.model, path, external_data=True)
    assert saved.data is not None
    assert len(os.fsencode(saved.data.name)) <= 255
    assert np.array_equal(
        model_io.load(path).model.graph.initializers["w"].const_value.numpy(),
        numpy_helper.to_array(weight()),
    )


def test_own_data_names() -> None:
    assert data_stem("m.onnx") == "m"
    assert is_own_data("m.0123456789ab.data", "m.onnx")
    for other in ("m.data", "m.onnx.data", "x.0123456789ab.data", "m.0123456789AB.data", "w.bin"):
        assert not is_own_data(other, "m.onnx")


def test_copy_is_byte_identical(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    content = model().SerializeToString() + b""
    path.write_bytes(content)
    for source in (path, content):
        saved = model_io.copy(model_io.load(source), tmp_path / "copy.onnx")
        assert saved is not None
        assert saved.path.read_bytes() == content
    loaded = model_io.load(path)
    path.write_bytes(model(weight("w", 8, 65)).SerializeToString())
    assert model_io.copy(loaded, tmp_path / "late.onnx") is None
    assert model_io.copy(model_io.load(model()), tmp_path / "late.onnx") is None


def test_session_files_do_not_meet(loaded: model_io.LoadedModel, tmp_path: Path) -> None:
    first, second = (model_io.to_session_file(loaded.model, tmp_path) for _ in range(2))
    assert first != second
    assert np.array_equal(outputs(first), outputs(second))


def test_what_does_not_fit_gets_a_data_file(
    loaded: model_io.LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "SINGLE_FILE_LIMIT", 2000)
    saved = model_io.save(loaded.model, tmp_path / "m.onnx")
    assert saved.data is not None
    assert outputs(model_io.to_session_file(loaded.model, tmp_path)).any()
    with pytest.raises(WriteError, match="too large for one file"):
        model_io.dump(loaded.model)


@pytest.mark.parametrize("columns", [64, 1 << 17], ids=["one block", "many blocks"])
def test_data_that_shrinks_under_our_hands(tmp_path: Path, columns: int) -> None:
    write_weight(tmp_path / "w.bin", 8, columns)
    proto = model(external("w", "w.bin", columns=columns))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    loaded = model_io.load(tmp_path / "m.onnx")
    (tmp_path / "w.bin").write_bytes(bytes(100))
    with pytest.raises(UnreadableModelError, match="changed meanwhile"):
        model_io.save(loaded.model, tmp_path / "new.onnx")
    assert names(tmp_path) == ["m.onnx", "w.bin"]


def test_more_than_two_gigabytes_pass_through_little_memory(tmp_path: Path) -> None:
    """A file of holes: 2.3 GB by its size, nothing on the disk; saved again as holes."""
    rows, columns = 1 << 13, 70_000
    with (tmp_path / "w.bin").open("wb") as file:
        file.write(np.arange(columns, dtype=np.float32).tobytes())
        file.truncate(4 * rows * columns)
    proto = model(external("w", "w.bin", rows=rows, columns=columns))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    saved = model_io.save(model_io.load(tmp_path / "m.onnx").model, tmp_path / "new.onnx")
    assert saved.data is not None
    assert saved.nbytes > 1 << 31
    assert saved.data.stat().st_size == 4 * rows * columns
    assert saved.data.stat().st_blocks * 512 < 16 << 20
    lazy = model_io.load(saved.path).model.graph.initializers["w"].const_value
    assert lazy.numpy()[0, 69_999] == 69_999
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 64 << 10, "kilobytes"
