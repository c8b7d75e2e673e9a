"""Embeddings from the model's server. Blocks, as searching and indexing run in threads of their own."""

import numpy as np
import openai
from openai import OpenAI

from bot.llm import CONNECT_RETRIES, DEFAULT_BASE_URL, NO_KEY, READ_TIMEOUT_S, expected_error
from knowledge.models import Embedder, Vectors

# The API takes up to 2,048 texts; smaller requests lose less when one has to be sent again.
BATCH = 256


def openai_embedder(api_key: str | None, base_url: str | None, model: str) -> Embedder:
    """An embedder whose name holds the model: its vectors fit no other."""
    client = OpenAI(
        api_key=api_key or NO_KEY,
        base_url=base_url or DEFAULT_BASE_URL,
        timeout=READ_TIMEOUT_S,
        max_retries=CONNECT_RETRIES,
    )

    def embed(texts: list[str]) -> Vectors:
        rows: list[list[float]] = []
        try:
            for start in range(0, len(texts), BATCH):
                batch = [text or " " for text in texts[start : start + BATCH]]
                answer = client.embeddings.create(model=model, input=batch)
                rows += [item.embedding for item in answer.data]
        except openai.APIError as error:
            raise expected_error(error, model) from error
        vectors = np.asarray(rows, dtype=np.float32)
        lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
        unit: Vectors = np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
        return unit

    return Embedder(name=f"openai:{model}", embed=embed)
