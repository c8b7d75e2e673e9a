"""Telling English from other languages."""

import pytest

from bot.language import is_english


@pytest.mark.parametrize(
    "text",
    [
        "what is a work pool?",
        "prefect worker start",
        "ModuleNotFoundError: No module named 'prefect_kubernetes'",
        "cron 0 9 * * * Berlin",
        "why does Müller's flow fail on the table 売上?",
        "how do I read the column `größe` of a DataFrame in a task",
        "is there a de facto standard for retries",
        "",
    ],
)
def test_english_and_mere_names_pass_for_english(text: str) -> None:
    assert is_english(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Was ist ein Work Pool?", id="german"),
        pytest.param("flow läuft nicht", id="german without articles"),
        pytest.param("Comment planifier un déploiement ?", id="french"),
        pytest.param("¿Qué es un work pool?", id="spanish"),
        pytest.param("onde meu código roda?", id="portuguese"),
        pytest.param("Prefect の work pool とは何ですか", id="japanese"),
        pytest.param("什么是work_pool的区别", id="chinese around a name in code"),
        pytest.param("deployment 어떻게 삭제해요", id="korean"),
        pytest.param("Что такое рабочий пул?", id="russian"),
    ],
)
def test_other_languages_are_told_by_script_or_by_their_commonest_words(text: str) -> None:
    assert not is_english(text)


def test_code_says_nothing_about_the_language() -> None:
    code = "```python\n# ist das der Fehler, oder nicht?\nfür = 1\n```"
    assert is_english(f"why does this fail?\n{code}")
    assert not is_english(f"warum geht das nicht?\n{code}")
