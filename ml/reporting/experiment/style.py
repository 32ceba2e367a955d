"""How a report looks; charts take their colors from here, light or dark as the reader's system is."""

from __future__ import annotations

from typing import Final

REPORT_STYLE: Final = """
:root{--b:#fff;--t:#1a2129;--q:#52606d;--l:#d5dce3;--a:#0b5cad;--r:#b3261e;--i:#0b5cad33}
@media(prefers-color-scheme:dark){:root{--b:#11161c;--t:#e7ecf2;--q:#a9b5c2;--l:#36424f;--a:#7db8f5;--r:#ffb0a8;--i:#7db8f540}}
body{margin:0;background:var(--b);color:var(--t);font:16px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
.sentence{font-size:1.2rem;font-weight:600}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(14rem,1fr));gap:.6rem 1.5rem}
dt,caption,figcaption,thead th{color:var(--q);font-size:.88rem}dd{margin:0}
figure{margin:0}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}caption{text-align:left}
th,td{text-align:left;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--l);white-space:nowrap}
.number{text-align:right;font-variant-numeric:tabular-nums}
.chart{display:block;width:100%;height:auto;font-size:13px}.chart text{fill:var(--q)}
.chart .grid{stroke:var(--l)}.chart .tick{stroke:var(--q)}.chart .zero{stroke:var(--t)}
.chart .aim{stroke:var(--q);stroke-width:1.5;stroke-dasharray:1 5;stroke-linecap:round}
.chart path.interval{fill:var(--i)}.chart line.interval{stroke:var(--i);stroke-width:6}
.chart .estimate{fill:none;stroke:var(--a);stroke-width:2.5}
.chart .needed{fill:none;stroke:var(--r);stroke-width:2;stroke-dasharray:7 5}
.chart .newest{fill:var(--a);stroke:var(--b);stroke-width:2}
.arm-0{fill:#8494a6}.arm-1{fill:#2f7fd1}.arm-2{fill:#d9822b}.arm-3{fill:#2f9e75}
.arm-4{fill:#a05fc2}.arm-5{fill:#c24f77}.arm-6{fill:#7d8c1f}.arm-7{fill:#3a9fb0}
"""
