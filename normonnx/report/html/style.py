"""How the page looks: by day, by night, on paper, on a telephone."""

from __future__ import annotations

STYLE = """
:root{--ink:#1c2330;--soft:#5b6577;--paper:#fff;--panel:#f5f7fa;--line:#d9dee7;--good:#14784a;
--bad:#b3261e;--warn:#8a5a00;--a:#3566c8;--b:#0f8a6d;--box:#eaf0fb;--new:#e3f5ee;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e7ebf2;--soft:#9aa5b8;--paper:#12161d;
--panel:#1a2029;--line:#303949;--good:#5ecf97;--bad:#ff8a80;--warn:#e3b341;--a:#86a9f5;--b:#5cc9ab;
--box:#22304d;--new:#16382d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);overflow-wrap:anywhere;
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:70rem;margin:0 auto;padding:1.5rem clamp(.8rem,3vw,2rem) 3rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-bottom:.25rem;
border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{margin:.4rem 0}
code,pre{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;
white-space:pre-wrap;margin:.4rem 0}
.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.badge{display:inline-block;font-weight:700;font-size:.85rem;letter-spacing:.04em;
padding:.1rem .6rem;border:1.5px solid currentColor;border-radius:99px;
vertical-align:middle;margin-right:.5rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(9.5rem,100%),1fr));gap:.7rem;
margin:1rem 0}
.tile{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem}
.tile b{display:block;font-size:1.1rem;line-height:1.3}
.code{white-space:nowrap}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.4rem 0}
th,td{text-align:left;padding:.28rem .7rem .28rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td code{word-break:break-word}
.card{border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem;margin:1rem 0;
break-inside:avoid}
.card h3{margin-top:0}
.bars{display:grid;
grid-template-columns:repeat(auto-fit,minmax(min(15rem,100%),1fr));gap:.4rem 1rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1rem}
figure{margin:.6rem 0 0;min-width:0}
figcaption{color:var(--soft);font-size:.85rem}
svg{max-width:100%;height:auto;display:block}
svg text{font:13px system-ui,sans-serif;fill:var(--ink)}
svg .small{font-size:10.5px;fill:var(--soft)}
svg .t{font-weight:600}
svg .box{fill:var(--box);stroke:var(--a)}svg .new .box{fill:var(--new);stroke:var(--b)}
svg .value{fill:none;stroke:var(--line)}svg .more{fill:none;stroke:var(--soft);stroke-dasharray:4 3}
svg .edge{fill:none;stroke:var(--soft);stroke-width:1.3}
svg .head{fill:var(--soft)}
svg .first{fill:var(--a)}svg .second{fill:var(--b)}svg .whisker{stroke:var(--ink);stroke-width:1.5}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--soft)}
ul{margin:.3rem 0;padding-left:1.2rem}
footer{margin-top:2.5rem;color:var(--soft);font-size:.85rem}
@media print{:root{--paper:#fff;--ink:#000;--panel:#fff}main{max-width:none;padding:0}
h2{break-after:avoid}.scroll{overflow:visible}details::details-content{content-visibility:visible;display:block}}
"""
