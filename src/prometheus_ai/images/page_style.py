"""How the page of an analysis looks: by light and by dark, on a desk and on a phone."""

STYLE = """
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1d2126;--soft:#5c6670;--line:#dfe3e6;
--plain:#c9d3dc;--good:#1a7f4b;--warn:#9a6700;--bad:#b3261e;--accent:#2f6fb3}
@media (prefers-color-scheme:dark){:root{--ground:#14171a;--card:#1c2024;--ink:#e7eaed;--soft:#9aa4ae;
--line:#2e353b;--plain:#3b4650;--good:#57c08a;--warn:#d8a63a;--bad:#f2857d;--accent:#6ea8e6}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1200px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}h2{font-size:17px;margin:0 0 10px}
.digest{color:var(--soft);font:12px/1.4 ui-monospace,monospace;overflow-wrap:anywhere;margin:4px 0 18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px;margin-bottom:22px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
.tile b{display:block;font-size:19px}.tile span{color:var(--soft);font-size:13px}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px;margin-bottom:18px}
section.proof{border-left:5px solid var(--soft)}section.good{border-left-color:var(--good)}
section.warn{border-left-color:var(--warn)}section.bad{border-left-color:var(--bad)}
details{border-top:1px solid var(--line);padding:8px 0}details:first-of-type{border-top:0}
summary{display:grid;grid-template-columns:96px 1fr auto;gap:4px 12px;align-items:center;cursor:pointer;
list-style:none}summary::-webkit-details-marker{display:none}
summary strong{font-weight:600}summary strong::after{content:" ▸";color:var(--soft)}
details[open] strong::after{content:" ▾"}summary em{font-style:normal;font-variant-numeric:tabular-nums}
.bar{grid-column:2/4;height:4px;border-radius:2px;background:var(--accent)}
details p{margin:8px 0 0}details ul{margin:8px 0 0;padding-left:18px;color:var(--soft)}
code{font:12px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.risk{font-size:12px;border:1px solid currentColor;border-radius:10px;padding:1px 8px;text-align:center;
white-space:nowrap}.risk.low{color:var(--good)}.risk.medium{color:var(--warn)}.risk.high{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px}
th{text-align:left;color:var(--soft);font-weight:500}th,td{padding:5px 10px 5px 0;vertical-align:top}
tbody tr{border-top:1px solid var(--line)}td{font-variant-numeric:tabular-nums}
.shares{min-width:120px;width:24%;white-space:nowrap;font-size:0;padding-top:11px}
.shares i{display:inline-block;height:9px}.live{background:var(--accent)}.gone{background:var(--bad)}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;margin:0 0 10px;font-size:12.5px;color:var(--soft)}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px;background:var(--plain);
vertical-align:-1px}
.map{position:relative;width:100%;border:1px solid var(--line)}
.map.wide{aspect-ratio:1.9}.map.tall{aspect-ratio:.7;display:none}
.cell{position:absolute;overflow:hidden;border:1px solid var(--card);background:var(--plain);color:var(--ink);
font-size:11px;line-height:15px;padding:0 3px;white-space:nowrap;text-overflow:ellipsis}
.cell small{opacity:.75}.cell b{font-weight:600}
.cell.box{background:var(--card);border-color:var(--line)}.in{position:absolute;inset:15px 1px 1px 1px}
.k-dead-bytes{background:#b3261e!important;color:#fff}.k-package-caches{background:#d97706!important;color:#1d1200}
.k-working-files{background:#a16207!important;color:#fff}.k-documentation{background:#0f766e!important;color:#fff}
.k-stale-bytecode{background:#7c3aed!important;color:#fff}.k-bytecode{background:#a78bfa!important;color:#160a33}
.k-test-trees{background:#2563eb!important;color:#fff}.k-other-tests{background:#60a5fa!important;color:#04152e}
.k-build-tools{background:#be185d!important;color:#fff}.k-installers{background:#f472b6!important;color:#300217}
.k-headers{background:#64748b!important;color:#fff}.k-gpu-libraries{background:#4d7c0f!important;color:#fff}
@media (max-width:640px){main{padding:14px 10px 40px}section{padding:12px}
summary{grid-template-columns:auto 1fr;gap:4px 10px}summary strong{grid-column:1/3}summary em{text-align:right;
grid-row:1;grid-column:2}.bar{grid-column:1/3}
.map.wide{display:none}.map.tall{display:block}}
"""
