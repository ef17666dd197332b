"""Rule pages are complete, and the engines know no rule without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import normonnx
from normonnx.report.rule_pages import rules_markdown
from normonnx.rules import RULES, Rule, rule_name
from normonnx.simplify.rule import CODES

_PACKAGE = Path(normonnx.__file__).parent


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_page_is_complete(rule: Rule) -> None:
    assert re.fullmatch(r"NX\d{3}", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.name)
    assert rule.exactness in ("exact", "rounding")
    assert rule.equation
    assert len(rule.conditions) > 1
    for text in (rule.title, rule.before, rule.after, rule.why):
        assert text.strip() == text != ""
    for sentence in (rule.title, *rule.conditions):
        assert not sentence.endswith(".")


def test_every_code_in_the_engines_has_a_page() -> None:
    rooms = ("affine", "norm", "targets")
    engines = [path for room in rooms for path in (_PACKAGE / room).rglob("*.py")]
    codes = {code for path in engines for code in re.findall(r'"(NX\d{3})"', path.read_text())}
    assert codes | set(CODES) == set(RULES)


def test_names_are_unique_and_unknown_codes_have_none() -> None:
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert rule_name("NX001") == "fold-into-convolution"
    assert rule_name("NX999") == ""


def test_the_documentation_has_all_of_every_page() -> None:
    page = rules_markdown(RULES.values())
    for rule in RULES.values():
        assert f"## {rule.code} {rule.name} {{#{rule.code.lower()}}}" in page
        for part in (rule.title, *rule.equation, *rule.conditions, rule.why):
            assert part in page
