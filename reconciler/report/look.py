"""Report: what the page looks like. One sheet, of our own words alone; its digest is in the page's security policy.

Quiet colours, and never a colour alone: each stands beside a word. Contrast is at least 4.5 to 1 in light and in dark.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;
--paper:#f7f6f3;--card:#fff;--ink:#1c2126;--faint:#59626b;--line:#dfdcd5;--code:#f1efea;
--calm:#1c6b40;--calm-b:#e4f2e9;--busy:#1d5a90;--busy-b:#e5eff8;--notice:#4b5560;--notice-b:#eceae5;
--trouble:#855300;--trouble-b:#fcf1d8;--alarm:#a31621;--alarm-b:#fdeaea;
--ours:#2f6fa7;--others:#8a94a0;--held:#b98a2f;--asked:#7a4fa3;--rest:#e7e4dd}
@media (prefers-color-scheme:dark){:root{
--paper:#121518;--card:#1a1e22;--ink:#e4e7ea;--faint:#9ca6b0;--line:#2c3238;--code:#22272c;
--calm:#7ed6a2;--calm-b:#12291d;--busy:#8bc1f0;--busy-b:#13263a;--notice:#b6c0ca;--notice-b:#22272c;
--trouble:#f0c06a;--trouble-b:#2e2410;--alarm:#ff9a9a;--alarm-b:#371718;
--ours:#5b9bd5;--others:#77828d;--held:#d1a54b;--asked:#b08ad6;--rest:#2b3137}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
header,main,footer{max-width:68rem;margin:0 auto;padding:0 1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;justify-content:space-between;align-items:baseline;
padding-top:1rem;color:var(--faint);font-size:.875rem}
header strong{color:var(--ink);letter-spacing:.01em}
a{color:inherit;text-underline-offset:.2em}
a:focus-visible,summary:focus-visible{outline:3px solid var(--busy);outline-offset:2px;border-radius:.2rem}
h1{font-size:1.65rem;line-height:1.25;font-weight:650;margin:.15rem 0 0;letter-spacing:-.01em}
h2{font-size:1.05rem;margin:2.25rem 0 .6rem;font-weight:650}
h3{font-size:1rem;margin:0;font-weight:600;line-height:1.4}
p{margin:.4rem 0}
body{overflow-wrap:anywhere}
thead th,.passes td,.passes th{overflow-wrap:normal}
.passes td:nth-child(4){overflow-wrap:anywhere}
.verdict{margin:1rem 0 0;padding:1.1rem 1.25rem 1.2rem;border-radius:.75rem;border:1px solid var(--line);
border-left:.5rem solid var(--notice);background:var(--notice-b)}
.mood{font-size:.78rem;font-weight:700;letter-spacing:.08em;text-transform:uppercase;color:var(--notice)}
.verdict.calm{border-left-color:var(--calm);background:var(--calm-b)}.calm>.mood{color:var(--calm)}
.verdict.busy{border-left-color:var(--busy);background:var(--busy-b)}.busy>.mood{color:var(--busy)}
.verdict.trouble{border-left-color:var(--trouble);background:var(--trouble-b)}.trouble>.mood{color:var(--trouble)}
.verdict.alarm{border-left-color:var(--alarm);background:var(--alarm-b)}.alarm>.mood{color:var(--alarm)}
dl{display:flex;flex-wrap:wrap;gap:.35rem 2rem;margin:.75rem 0 0}
dl>div{min-width:0}
dt{font-size:.78rem;color:var(--faint)}
dd{margin:0}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.85rem 1rem .95rem;
margin:.6rem 0;border-left:.35rem solid var(--notice)}
.card.plain{border-left:1px solid var(--line)}
.card.critical{border-left-color:var(--alarm)}.card.warning{border-left-color:var(--trouble)}
.tag{display:inline-block;font-size:.72rem;font-weight:700;letter-spacing:.06em;text-transform:uppercase;
color:var(--notice);margin:0 .6rem 0 0;white-space:nowrap}
.critical .tag,.tag.bad{color:var(--alarm)}.warning .tag,.tag.warn{color:var(--trouble)}
.tag.good{color:var(--calm)}.tag.wait{color:var(--busy)}
.note{color:var(--faint);font-size:.875rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0;font-size:.9rem;background:var(--card);
border:1px solid var(--line);border-radius:.4rem}
caption{text-align:left;color:var(--faint);font-size:.82rem;padding:0 0 .3rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-top:1px solid var(--line);font-weight:400;
min-width:5.5rem}
.passes th,.passes td{min-width:0}
thead th{border-top:0;color:var(--faint);font-size:.78rem}
td.num,th.num{text-align:right}
.diff td,.diff tbody th,code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:.85em}
.diff{background:var(--code)}
.passes td,.passes th{font-variant-numeric:tabular-nums}
details{margin:.5rem 0 0}
td details{margin:0}
summary{cursor:pointer;color:var(--faint);padding:.2rem 0}
summary:hover{color:var(--ink)}
ul{margin:.4rem 0;padding-left:1.2rem}
.counts{margin:.2rem 0 .4rem;color:var(--faint)}
.counts b{color:var(--ink);font-weight:600}
.pool{margin:.85rem 0}
.pool p{margin:.1rem 0}
.bar{display:block;width:100%;height:.9rem;margin:.2rem 0;border-radius:.2rem;background:var(--rest)}
.bar rect{height:100%}
.ours{fill:var(--ours)}.others{fill:url(#others)}.held{fill:url(#held)}.asked{fill:url(#asked)}
.p-others{stroke:var(--others)}.p-held{fill:var(--held)}.p-asked{stroke:var(--asked)}
.b-others{fill:var(--others);opacity:.35}.b-held{fill:var(--held);opacity:.3}.b-asked{fill:var(--asked);opacity:.3}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.82rem;color:var(--faint);margin:.3rem 0}
.legend svg{width:1.1rem;height:.75rem;margin-right:.35rem;border-radius:.15rem;background:var(--rest)}
.defs{position:absolute;width:0;height:0}
footer{color:var(--faint);font-size:.82rem;padding-top:2rem;padding-bottom:3rem}
@media (max-width:40rem){
h1{font-size:1.35rem}
header,main,footer{padding-left:.75rem;padding-right:.75rem}
.verdict{padding:.9rem .9rem 1rem}
.card{padding:.75rem .75rem .85rem}
dl{gap:.35rem 1.25rem}
th,td{padding:.3rem .35rem}
table{font-size:.84rem}
.passes{font-size:.8rem}
.passes th,.passes td{padding-left:.25rem;padding-right:.25rem}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stack,.stack tbody,.stack tr,.stack th,.stack td,.stack caption{display:block}
.stack{border:0;background:none}
.stack tr{border:1px solid var(--line);border-radius:.4rem;background:var(--card);margin:0 0 .5rem;padding:.35rem 0}
.stack th,.stack td{border:0;padding:.15rem .7rem}
.stack tbody th{font-weight:600}
.stack td:not(:empty)::before{content:attr(data-word);display:block;font:.75rem/1.3 system-ui,sans-serif;
color:var(--faint)}
.stack td:empty{display:none}
.diff.stack tr{background:var(--code)}
}
@media print{
body{background:none}
header a,footer{display:none}
.card,.pool,tr{break-inside:avoid}
.bar,.verdict,.diff{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
