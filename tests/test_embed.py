import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from knowledge.embed import BATCH, load_static_model, static_embedder, unit
from knowledge.models import Embedder


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return static_embedder()


def test_texts_about_one_thing_are_nearer_than_texts_about_two(embedder: Embedder) -> None:
    pool, same, other = embedder.embed(
        [
            "a work pool for kubernetes jobs",
            "running jobs on k8s with a work pool",
            "send an email with a logo",
        ]
    )
    assert pool @ same > pool @ other + 0.2


def test_vectors_have_length_one_and_256_numbers(embedder: Embedder) -> None:
    vectors = embedder.embed(["workers", "PREFECT_API_URL", "日本語のテキスト", "x" * 5_000])
    assert vectors.shape == (4, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)


def test_an_empty_text_gives_zeros(embedder: Embedder) -> None:
    assert not embedder.embed([""]).any()


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 256)


def test_a_vector_does_not_depend_on_its_batch(embedder: Embedder) -> None:
    texts = [f"flow number {number}" for number in range(BATCH + 10)]
    together = embedder.embed(texts)
    np.testing.assert_array_equal(together[-1], embedder.embed(texts[-1:])[0])


def test_a_text_is_the_mean_of_its_tokens() -> None:
    model = load_static_model()
    ids = model.tokenizer.encode("work pool", add_special_tokens=False).ids
    mean = model.table[ids].astype(np.float32).mean(axis=0)
    np.testing.assert_allclose(model.embed(["work pool"])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_the_first_texts_may_come_from_several_threads() -> None:
    fresh = static_embedder()
    with ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(lambda _: fresh.embed(["work pool"])[0], range(16)))
    assert all(np.array_equal(row, rows[0]) for row in rows)


def test_unit_leaves_rows_of_zeros_alone() -> None:
    scaled = unit(np.array([[0, 0], [3, 4]], dtype=np.float32))
    np.testing.assert_allclose(scaled, np.array([[0, 0], [0.6, 0.8]]), rtol=1e-6)


def test_wordllama_itself_is_never_imported() -> None:
    program = (
        "import sys; from knowledge.embed import static_embedder; static_embedder().embed(['x']);"
        "print([name for name in sys.modules if name.startswith(('wordllama', 'chromadb'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
