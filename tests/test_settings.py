"""Five sources, one configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segformer_cli import settings as under_test
from segformer_cli.config import CompareConfig, Doc, EvalConfig, PredictConfig, Range, TrainConfig, Whole
from segformer_cli.errors import ConfigError
from segformer_cli.settings import checked, document, presets, resolve, to_yaml


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toy:
    name: Annotated[str, Doc("a name")] = "toy"
    note: Annotated[str | None, Doc("a remark")] = None
    count: Annotated[int, Doc("how many")] = 1
    rate: Annotated[float | None, Doc("how fast")] = 0.5
    loud: Annotated[bool, Doc("whether it rattles")] = False
    colour: Annotated[Literal["red", "green", "off"], Doc("of its paint")] = "red"
    size: Annotated[tuple[int, int], Doc("height and width")] = (1, 2)
    span: Annotated[tuple[float, float] | None, Doc("from, to")] = None
    tags: Annotated[tuple[Literal["a", "b"], ...], Doc("marks")] = ("a",)
    parts: Annotated[tuple[str, ...], Doc("what it is made of"), Whole()] = ()


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_every_key_has_its_default() -> None:
    assert resolve(Toy) == Toy()


@given(st.permutations([0, 1, 2, 3]), st.sets(st.sampled_from([0, 1, 2, 3])))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_later_source_wins(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], present: set[int]
) -> None:
    file, variable, stated, flag = (10 + number for number in numbers)
    path = write(tmp_path_factory.mktemp("config") / "toy.yaml", f"count: {file}" if 0 in present else "")
    found = resolve(
        Toy,
        file=path,
        environ={"SEGFORMER_COUNT": str(variable)} if 1 in present else {},
        sets=[f"count={stated}"] if 2 in present else [],
        flags={"count": str(flag) if 3 in present else None, "name": None},
    )
    expected = [value for place, value in enumerate((file, variable, stated, flag)) if place in present]
    assert found.count == (expected[-1] if expected else 1)


def test_sources_are_merged_key_by_key(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.yaml", "name: ball\ncount: 2\n")
    found = resolve(Toy, file=path, environ={"SEGFORMER_COUNT": "3"}, sets=["loud=yes"], flags={"size": "4"})
    assert found == Toy(name="ball", count=3, loud=True, size=(4, 4))


def test_of_two_sets_of_one_key_the_last_wins() -> None:
    assert resolve(Toy, sets=["count=1", "count=2"]).count == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=007", 7),
        ("count=40_000", 40_000),
        ("rate=6e-5", 6e-5),
        ("rate=null", None),
        ("rate=1", 1.0),
        ("name=off", "off"),
        ("name=512", "512"),
        ("note=", None),
        ("note='null'", "null"),
        ("note=a # b", "a # b"),
        ("note=*.png", "*.png"),
        ("loud=on", True),
        ("loud=0", False),
        ("colour=off", "off"),
        ("size=512", (512, 512)),
        ("size=512x1024", (512, 1024)),
        ("size=512, 1024", (512, 1024)),
        ("size=[512, 1024]", (512, 1024)),
        ("span=0.5,2", (0.5, 2.0)),
        ("tags=a,b", ("a", "b")),
        ("tags=[]", ()),
        ("parts=wheel=2,4", ("wheel=2,4",)),
        ("parts=['wheel=2,4', bell]", ("wheel=2,4", "bell")),
        ("parts=[]", ()),
    ],
)
def test_a_text_means_what_the_type_of_its_key_asks_for(text: str, value: object) -> None:
    assert getattr(resolve(Toy, sets=[text]), text.partition("=")[0]) == value


@pytest.mark.parametrize(
    "text",
    [
        "count=1.5",
        "count=",
        "count=true",
        "rate=fast",
        "rate=nan",
        "rate=inf",
        "loud=2",
        "colour=gren",
        "name=null",
        "size=1x2x3",
        "size=axb",
        "span=1,2,3",
        "tags=a,c",
        "note=[a, b]",
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_that_shows_it_and_its_place(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Toy, sets=[text])
    key = text.partition("=")[0]
    assert caught.value.message.startswith(f"{key} is ")
    assert "accepted: " in caught.value.message
    assert caught.value.where == f"in --set {text}"
    assert caught.value.exit_code == 2


def test_a_choice_close_to_a_known_one_is_guessed() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Toy, flags={"colour": "gren"})
    assert caught.value.hint == "did you mean green?"
    assert caught.value.where == "in --colour"


def test_yaml_and_python_spell_the_same_values(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.yaml", "rate: 6e-5\nname: no\nloud: yes\nsize: [3, 4]\nspan: 0.5, 2\nnote: ~\n")
    assert resolve(Toy, file=path) == Toy(rate=6e-5, name="no", loud=True, size=(3, 4), span=(0.5, 2.0))


def test_an_unknown_key_of_a_file_is_named_with_its_line_and_a_guess(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.yaml", "# toys\nname: ball\ncuont: 3\n")
    with pytest.raises(ConfigError) as caught:
        resolve(Toy, file=path)
    assert caught.value.message == "there is no key 'cuont'"
    assert caught.value.where == f"in {path}, line 3"
    assert caught.value.hint == "did you mean count?"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("count: 1\nname: a\ncount: 2\n", "count is given twice", "line 3"),
        ("count: 1\n\tname: a\n", "this is not YAML", "line 2"),
        ("count 1\nname: a\n", "this is not YAML", "line 2"),
        ("name: [a\n", "this is not YAML", "line 2"),
        ("name: {a: b}\n", "keys do not nest", "line 1"),
        ("name: !!python/name:os.system\n", "the tag", "line 1"),
        ("- count\n", "holds no keys", ""),
        ("name: \x00\n", "this is not YAML", ""),
    ],
)
def test_a_file_that_is_not_flat_yaml_is_an_error_with_its_line(
    tmp_path: Path, text: str, message: str, line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Toy, file=write(tmp_path / "toy.yaml", text))
    assert message in caught.value.message
    assert line in (caught.value.where or "")


def test_a_file_that_is_absent_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        resolve(Toy, file=tmp_path / "absent.yaml")
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ConfigError, match="cannot read"):
        resolve(Toy, file=tmp_path / "picture.yaml")


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert resolve(Toy, file=write(tmp_path / "toy.yaml", "# nothing yet\n")) == Toy()


@pytest.mark.parametrize("slip", ["CUONT", "COUNTS", "CONT", "COUNR", "XCOUNT", "OCUNT"])
def test_a_variable_one_slip_from_a_key_is_ignored_with_a_warning(slip: str) -> None:
    heard: list[str] = []
    assert resolve(Toy, environ={f"SEGFORMER_{slip}": "2"}, warn=heard.append) == Toy()
    assert heard == [
        f"the variable SEGFORMER_{slip} is no setting and was ignored; did you mean SEGFORMER_COUNT?"
    ]


def test_the_users_own_variables_are_passed_over_in_silence() -> None:
    foreign = {"SEGFORMER_DEBUG": "1", "SEGFORMER_CROP_SIZE": "8", "SEGFORMER_WHATEVER": "1", "COUNT": "9"}
    assert resolve(Toy, environ=foreign, warn=pytest.fail) == Toy()
    own = {"SEGFORMER_DATA_DIR": "/data", "SEGFORMER_OUT_DIR": "/out", "SEGFORMER_HOME": "/opt"}
    assert resolve(TrainConfig, environ=own, warn=pytest.fail) == TrainConfig()


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        (EvalConfig(limit=0), "limit is 0", "it must be at least 1"),
        (EvalConfig(limit=-5), "limit is -5", "it must be at least 1"),
        (EvalConfig(workers=-1), "workers is -1", "it must be at least 0"),
        (EvalConfig(batch_size=0), "batch_size is 0", "it must be at least 1"),
        (EvalConfig(min_miou=75.0), "min_miou is 75", "it must lie in 0 to 1"),
        (EvalConfig(resamples=99), "resamples is 99", "it must be 0 or lie in 100 to 100000"),
        (EvalConfig(scales=(1e9,)), "scales is 1e+09", "it must be more than 0 and at most 16"),
        (EvalConfig(boundary_width=0.6), "boundary_width is 0.6", "it must be more than 0 and at most 0.5"),
        (PredictConfig(opacity=-1.0), "opacity is -1", "it must lie in 0 to 1"),
        (PredictConfig(opacity=float("nan")), "opacity is nan", "it must lie in 0 to 1"),
        (TrainConfig(flip=3.0), "flip is 3", "it must lie in 0 to 1"),
        (TrainConfig(flip=3), "flip is 3", "it must lie in 0 to 1"),
        (TrainConfig(lr=0.0), "lr is 0", "it must be more than 0"),
        (TrainConfig(drop_path=1.0), "drop_path is 1", "it must be at least 0 and less than 1"),
        (TrainConfig(scale_range=(0.0, 2.0)), "scale_range is 0 to 2", "each must be more than 0"),
        (TrainConfig(crop_size=(31, 64)), "crop_size is 31x64", "each must be at least 32"),
    ],
)
def test_a_number_without_a_meaning_is_an_error_from_python_and_from_text(
    config: TrainConfig | EvalConfig | PredictConfig, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(config)
    assert (caught.value.message, caught.value.where, caught.value.hint) == (message, None, hint)
    changed = {key: value for key, value in vars(config).items() if value != getattr(type(config)(), key)}
    (key,) = changed
    if changed[key] == changed[key]:
        with pytest.raises(ConfigError) as caught:
            resolve(type(config), flags=changed)
        where = "in --" + key.replace("_", "-")
        assert (caught.value.message, caught.value.where, caught.value.hint) == (message, where, hint)


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        (EvalConfig(precision="fp64"), "precision is 'fp64'; accepted: one of auto, fp32", "did you mean fp16?"),  # type: ignore[arg-type]
        (EvalConfig(size=128), "size is 128; accepted: a text", "write '128'"),  # type: ignore[arg-type]
        (EvalConfig(window=128), "window is 128; accepted: two whole numbers", "write (128, 128)"),  # type: ignore[arg-type]
        (EvalConfig(window=(64, 64.5)), "window is (64, 64.5); accepted: two", None),  # type: ignore[arg-type]
        (EvalConfig(limit="2"), "limit is '2'; accepted: a whole number", "write 2"),  # type: ignore[arg-type]
        (EvalConfig(limit=True), "limit is True; accepted: a whole number", None),
        (EvalConfig(batch_size=2.0), "batch_size is 2.0; accepted: a whole number", "known: auto"),  # type: ignore[arg-type]
        (EvalConfig(min_miou="0.5"), "min_miou is '0.5'; accepted: a number", "write 0.5"),  # type: ignore[arg-type]
        (EvalConfig(boundary="yes"), "boundary is 'yes'; accepted: true or false", "write True"),  # type: ignore[arg-type]
        (EvalConfig(boundary=None), "boundary is None; accepted: true or false", None),  # type: ignore[arg-type]
        (EvalConfig(data=None), "data is None; accepted: a text", None),  # type: ignore[arg-type]
        (EvalConfig(dialect="mmseg"), "dialect is 'mmseg'; accepted: a list, each a text", "write ('mmseg',)"),  # type: ignore[arg-type]
        (EvalConfig(group="a=car,bus"), "group is 'a=car,bus'; accepted: a list", "write ('a=car,bus',)"),  # type: ignore[arg-type]
        (PredictConfig(save=("mask", "ovrlay")), "save is ('mask', 'ovrlay'); accepted", "did you mean overlay?"),  # type: ignore[arg-type]
        (CompareConfig(resamples="9"), "resamples is '9'; accepted: a whole number", "write 9"),  # type: ignore[arg-type]
    ],
    ids=lambda value: str(value).partition(";")[0] if isinstance(value, str) else "",
)
def test_a_value_of_python_of_the_wrong_type_is_an_error_that_says_what_to_write(
    config: EvalConfig, message: str, hint: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(config)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint


def test_paths_lists_and_numbers_of_numpy_stand_for_what_a_field_asks_for() -> None:
    given = EvalConfig(
        data=Path("a") / "b",  # type: ignore[arg-type]
        window=[64, np.int64(96)],  # type: ignore[arg-type]
        dialect=["mmseg"],  # type: ignore[arg-type]
        limit=np.int32(3),  # type: ignore[arg-type]
        min_miou=np.float32(0.5),  # type: ignore[arg-type]
        scales=(1,),
    )
    found = checked(given)
    assert found == EvalConfig(
        data=str(Path("a") / "b"), window=(64, 96), dialect=("mmseg",), limit=3, min_miou=0.5, scales=(1.0,)
    )
    assert [type(value) for value in (*(found.window or ()), found.limit, found.min_miou)] == [int, int, int, float]
    assert checked(found) == found


@pytest.mark.parametrize("key", ["data", "weights", "out", "report", "split"])
def test_an_empty_text_is_refused_wherever_it_is_written(key: str, tmp_path: Path) -> None:
    sources: list[Callable[[], EvalConfig]] = [
        lambda: resolve(EvalConfig, flags={key: ""}),
        lambda: resolve(EvalConfig, sets=[f"{key}=' '"]),
        lambda: resolve(EvalConfig, file=write(tmp_path / "e.yaml", f'{key}: ""\n')),
        lambda: checked(EvalConfig(**{key: ""})),  # type: ignore[arg-type]
    ]
    for source in sources:
        with pytest.raises(ConfigError, match=f"{key} is an empty text"):
            source()


def test_the_hints_show_a_key_that_the_command_has(tmp_path: Path) -> None:
    for cls, example in ((EvalConfig, "batch_size=1"), (TrainConfig, "batch_size=8"), (PredictConfig, "opacity=0.5")):
        with pytest.raises(ConfigError) as caught:
            resolve(cls, sets=["anything"])
        assert caught.value.hint == f"write --set {example}"
        with pytest.raises(ConfigError) as caught:
            resolve(cls, file=write(tmp_path / "list.yaml", "- a\n"))
        assert example.replace("=", ": ") in str(caught.value.hint)


def test_the_bounds_of_a_range_belong_to_it_as_named() -> None:
    assert Range(0, 1).holds(0)
    assert Range(0, 1).holds(1)
    assert not Range(above=0).holds(0)
    assert not Range(below=1).holds(1)
    checked(EvalConfig(limit=None, workers=0, min_miou=1.0))


@pytest.mark.parametrize("name", [None, *presets()])
def test_defaults_and_presets_lie_in_their_ranges(name: str | None) -> None:
    checked(resolve(TrainConfig, preset=name))
    for cls in (EvalConfig, PredictConfig):
        checked(cls())


def test_the_range_of_a_key_is_documented() -> None:
    accepts = {row.key: row.accepts for row in document(TrainConfig)}
    assert accepts["flip"] == "a number; must lie in 0 to 1"
    assert accepts["iterations"] == "a whole number, or null; must be at least 1"


def test_an_empty_variable_is_not_set() -> None:
    assert resolve(Toy, environ={"SEGFORMER_COUNT": ""}) == Toy()


def test_a_set_without_an_equals_sign_is_an_error() -> None:
    with pytest.raises(ConfigError, match="has no KEY=VALUE"):
        resolve(Toy, sets=["count"])


letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
texts = st.text(letters, min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Toy,
        name=texts,
        note=st.none() | texts,
        count=st.integers(),
        rate=st.none() | finite,
        loud=st.booleans(),
        colour=st.sampled_from(["red", "green", "off"]),
        size=st.tuples(st.integers(), st.integers()),
        span=st.none() | st.tuples(finite, finite),
        tags=st.lists(st.sampled_from(["a", "b"])).map(tuple),
    )
)
@settings(deadline=None, max_examples=150)
def test_a_written_configuration_reads_back_as_itself(
    tmp_path_factory: pytest.TempPathFactory, toy: Toy
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "written.yaml", to_yaml(toy))
    assert resolve(Toy, file=path) == toy


@pytest.mark.parametrize("cls", [TrainConfig, EvalConfig, PredictConfig])
def test_every_key_of_every_command_is_documented_and_written_as_it_is_read(cls: type, tmp_path: Path) -> None:
    rows = document(cls)
    assert [row.key for row in rows] == [field.name for field in dataclasses.fields(cls)]
    assert all(row.doc and row.accepts for row in rows)
    stated = [f"{row.key}={row.default}" for row in rows if row.default]
    assert resolve(cls, sets=stated) == cls()
    assert resolve(cls, file=write(tmp_path / "all.yaml", to_yaml(cls()))) == cls()


def test_a_preset_lies_under_every_other_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "PRESETS", tmp_path)
    write(tmp_path / "fast.yaml", "description: half the steps\niterations: 10\nlr: 1e-3\n")
    assert presets() == {"fast": "half the steps"}
    named = resolve(TrainConfig, sets=["lr=1e-4"], flags={"preset": "fast"})
    assert (named.preset, named.iterations, named.lr) == ("fast", 10, 1e-4)
    assert resolve(TrainConfig, preset="fast").iterations == 10
    assert resolve(TrainConfig, preset="other", environ={"SEGFORMER_PRESET": "fast"}).iterations == 10
    with pytest.raises(ConfigError, match="there is no preset 'fats'") as caught:
        resolve(TrainConfig, sets=["preset=fats"])
    assert caught.value.hint == "did you mean fast?"


def test_every_preset_of_the_package_is_a_valid_configuration() -> None:
    for name, description in presets().items():
        assert resolve(TrainConfig, preset=name).preset == name
        assert description
