"""The rules as one page of Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from normonnx.rules import EXACTNESS, Rule

_HEAD = """# The rules

`normonnx explain CODE` prints a page, and `normonnx explain CODE MODEL` says where the rule fires
in a model and where it nearly does. This page is made from the same source.
"""


def rules_markdown(rules: Iterable[Rule]) -> str:
    """All pages, a table of them first."""
    rules = list(rules)
    table = ["| code | name | what it does |", "|---|---|---|"]
    table += [f"| [{r.code}](#{r.code.lower()}) | `{r.name}` | {r.title} |" for r in rules]
    return "\n".join([_HEAD, *table, "", *(_page(rule) for rule in rules)])


def _page(rule: Rule) -> str:
    conditions = "\n".join(f"- {condition}" for condition in rule.conditions)
    equation = "\n".join(rule.equation)
    default = "on" if rule.by_default else f"off; `--rule {rule.code}` turns it on"
    return f"""## {rule.code} {rule.name} {{#{rule.code.lower()}}}

{rule.title}.

```text
before   {_indented(rule.before)}
after    {_indented(rule.after)}
```

{rule.why}

**Because**

```text
{equation}
```

**If**

{conditions}

**Numbers**: {EXACTNESS[rule.exactness]}.

**Default**: {default}.
"""


def _indented(picture: str) -> str:
    return picture.replace("\n", "\n         ")
