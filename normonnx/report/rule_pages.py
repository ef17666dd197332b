"""The rules as one page of Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from normonnx.error_pages import ErrorPage
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


_ERRORS_HEAD = """# Errors

An error is one sentence, where it is, and a hint: `error[NX-E10]: no such file`. It goes to
standard error, under `-q` too. `normonnx explain NX-E10` prints the page of a code.
"""


def errors_markdown(pages: Iterable[ErrorPage]) -> str:
    """The pages of all errors."""
    parts = [_ERRORS_HEAD]
    for page in pages:
        causes = "\n".join(f"- {cause}" for cause in page.causes)
        remedies = "\n".join(f"- {remedy}" for remedy in page.remedies)
        parts.append(
            f"## {page.code} {page.name} {{#{page.code.lower()}}}\n\n{page.title}. "
            f"Exit code {int(page.exit_code)}.\n\n"
            f"**Causes**\n\n{causes}\n\n**What to do**\n\n{remedies}\n"
        )
    return "\n".join(parts)


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
