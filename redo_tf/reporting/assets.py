"""Style and script of the report."""
from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --card: #f5f6f8; --text: #1c2128; --faint: #626b76; --rule: #d5d9df;
  --accent: #1f66d0; --differs: #fff0c2;
  --c0: #1f66d0; --c1: #c8500a; --c2: #1a7f4b; --c3: #8a3fc0; --c4: #a8711a; --c5: #0b7d8c; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171c; --card: #1d2128; --text: #e4e8ee; --faint: #98a2ae; --rule: #383e48;
    --accent: #78a9ff; --differs: #4a3b0c;
    --c0: #78a9ff; --c1: #ff9d5c; --c2: #5fd39a; --c3: #cf9bff; --c4: #e6c04f; --c5: #55cbd9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 1.5rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", "Open Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .7rem; padding-bottom: .2rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; }
.faint { color: var(--faint); }
nav a { color: var(--accent); margin-right: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule);
  overflow-wrap: break-word; }
thead th { background: var(--card); }
tbody th { font-weight: normal; color: var(--faint); }
.number { text-align: right; white-space: nowrap; }
tr.differs > * { background: var(--differs); color: var(--text); }
table.only-differences tr.same { display: none; }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 1rem; }
figure { margin: 0; }
.chart { background: var(--card); border-radius: 6px; padding: .7rem; }
figcaption { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; list-style: none; margin: 0; padding: 0; font-size: .85rem; }
.key { display: inline-block; width: 1.8em; margin-right: .4em; vertical-align: middle;
  border-top: 2.5px solid var(--c); }
.key.d1 { border-top-style: dashed; } .key.d2 { border-top-style: dotted; } .key.d3 { border-top-style: double; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 12px; }
.gridline { stroke: var(--rule); stroke-width: 1; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); }
.c3 { --c: var(--c3); } .c4 { --c: var(--c4); } .c5 { --c: var(--c5); }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.line.d1 { stroke-dasharray: 7 4; } .line.d2 { stroke-dasharray: 2 3; } .line.d3 { stroke-dasharray: 9 3 2 3; }
.point { fill: var(--c); opacity: 0; } .point:hover, .point.lone { opacity: 1; }
.mark line { stroke: var(--c); stroke-dasharray: 4 4; } .mark text { fill: var(--c); }
.frames img, .masks img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
.frames img[hidden] { display: none; }
.slider { display: flex; align-items: center; gap: .8rem; margin: .5rem 0; }
.slider input { flex: 1; max-width: 32rem; accent-color: var(--accent); }
"""

SCRIPT = """
for (const slider of document.querySelectorAll("input[data-frames]")) {
  const frames = document.getElementById(slider.dataset.frames).children;
  const label = document.getElementById(slider.dataset.label);
  const show = () => {
    for (const [i, frame] of [...frames].entries()) frame.hidden = i !== Number(slider.value);
    label.textContent = frames[slider.value].alt;
  };
  slider.addEventListener("input", show);
  show();
}
for (const box of document.querySelectorAll("input[data-table]")) {
  const table = document.getElementById(box.dataset.table);
  const show = () => table.classList.toggle("only-differences", box.checked);
  box.addEventListener("change", show);
  show();
}
"""
