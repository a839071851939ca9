"""Programs as pictures: Graphviz text, and a table for notebooks."""
import html

from gpuflow.static.value import Value


def to_dot(program) -> str:
    """Operators as boxes, data and parameters as ellipses, an arrow for each Value that one reads of another."""
    lines = ["digraph program {", "  rankdir=TB; node [fontname=Helvetica, fontsize=10];"]
    drawn: dict[int, str] = {}

    def source(value: Value) -> str:
        if id(value) not in drawn:
            drawn[id(value)] = f"v{len(drawn)}"
            colour = "lightblue" if value.is_data else "lightyellow" if value.home is not None else "white"
            lines.append(f"  {drawn[id(value)]} [label={_quoted(str(value))}, style=filled, fillcolor={colour}];")
        return drawn[id(value)]

    for k, operator in enumerate(program.operators()):
        colour = "mistyrose" if operator.training else "white"
        lines.append(f"  o{k} [shape=box, style=filled, fillcolor={colour}, label={_quoted(operator.type)}];")
        for value in dict.fromkeys(operator.reads()):
            arrow = f" [label={_quoted(str(value))}]" if drawn.get(id(value), "").startswith("o") else ""
            lines.append(f"  {source(value)} -> o{k}{arrow};")
        drawn.update((id(value), f"o{k}") for value in operator.writes())
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_html(program) -> str:
    """One row per operator: what it computes, its name, what it reads."""
    rows = []
    for block in program.blocks:
        for operator in block.ops:
            cells = (str(block.idx), ", ".join(map(str, operator.writes())) or "–", operator.type,
                     ", ".join(v.name for v in operator.reads()),
                     ", ".join(f"{k}={v}" for k, v in operator.attrs.items()))
            rows.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("block", "computes", "operator", "reads", "attributes"))
    return f"<table><caption>{html.escape(repr(program))}</caption><tr>{head}</tr>{''.join(rows)}</table>"
