"""What the documents say is so."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from segformer_cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_blocks(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def shown_commands() -> list[str]:
    """Every `segformer ...` line of the documents that people copy from."""
    pages = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))]
    lines = [line.strip().removeprefix("$ ") for page in pages for line in page.splitlines()]
    return sorted({line.partition("#")[0].strip() for line in lines if line.startswith("segformer ")})


def test_generated_pages_are_current():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_first_two_shell_blocks_of_the_readme_install_and_try_then_test():
    first, second = shell_blocks(README)[:2]
    assert first.startswith("pip install . && segformer demo")
    assert second.startswith('pip install -e ".[dev]" && pytest')


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_that_the_documents_show_exists_with_its_options(line):
    words = [word for word in line.split() if word not in ("&&", "|")][1:]
    commands = {command.name: command for command in app.registered_commands}
    groups = {
        group.name: {command.name for command in group.typer_instance.registered_commands}
        for group in app.registered_groups
    }
    if not words or words[0].startswith(("-", "[", "COMMAND")):
        return
    assert words[0] in commands or words[0] in groups, line
    name = words[:1]
    if words[0] in groups and len(words) > 1 and not words[1].startswith("-"):
        assert words[1] in groups[words[0]], line
        name = words[:2]
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"## segformer {' '.join(name)}\n")[2].partition("\n## ")[0]
    for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", line):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", section), f"{option} in: {line}"


def test_links_between_documents_lead_somewhere():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_network_is_one_file_that_needs_torch_alone():
    tree = ast.parse((ROOT / "segformer_cli" / "model" / "segformer.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {name.name for node in imports if isinstance(node, ast.Import) for name in node.names}
    modules |= {"." * node.level + (node.module or "") for node in imports if isinstance(node, ast.ImportFrom)}
    rest = {module for module in modules if module.partition(".")[0] != "torch"}
    assert rest <= {"__future__", "copy", "math", "typing", "collections.abc"}
    assert "torch" in modules
