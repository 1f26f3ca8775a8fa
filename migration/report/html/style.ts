/** Colours carry no meaning alone: every state has its word, every line its dashes. */
export const style = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1a1f28;--muted:#5a6472;--line:#dde1e7;--soft:#eef0f4;
--good:#166534;--good-bg:#dcfce7;--bad:#b01c1c;--bad-bg:#fee2e2;--unknown:#854d0e;--unknown-bg:#fef3c7;--off:#5a6472;--off-bg:#eceef2;
--c1:#1d5fd1;--c2:#c2410c;--c3:#0f766e;--c4:#7c3aed;--heat:220,38,38}
@media (prefers-color-scheme:dark){:root{--bg:#12151b;--card:#1a1e26;--text:#e6e9ef;--muted:#9aa4b2;--line:#303744;--soft:#232934;
--good:#86efac;--good-bg:#12351f;--bad:#fca5a5;--bad-bg:#471a1a;--unknown:#fcd34d;--unknown-bg:#3d2f0b;--off:#9aa4b2;--off-bg:#262c37;
--c1:#7fb0ff;--c2:#ff9d66;--c3:#5eead4;--c4:#c4a7ff;--heat:248,113,113}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:20px 16px 60px}
h1{font-size:17px;font-weight:600;margin:0;color:var(--muted)}
h2{font-size:18px;margin:0 0 4px}
h3{font-size:14px;margin:18px 0 6px;color:var(--muted);font-weight:600}
p{margin:6px 0}
a{color:var(--c1)}
code,.mono{font:13px/1.45 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.hint,.nothing{color:var(--muted);font-size:13px}
section,.verdict{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:14px 0}
section{scroll-margin-top:8px}
.verdict{border-left:8px solid var(--unknown)}
.verdict.equal,.verdict.same,.verdict.better{border-left-color:var(--good)}
.verdict.different,.verdict.worse,.verdict.incomparable{border-left-color:var(--bad)}
.verdict .word{font-size:34px;line-height:1.15;font-weight:750;letter-spacing:.01em;margin:6px 0 2px;color:var(--unknown)}
.verdict.equal .word,.verdict.same .word,.verdict.better .word{color:var(--good)}
.verdict.different .word,.verdict.worse .word,.verdict.incomparable .word{color:var(--bad)}
.verdict .headline{font-size:17px;margin:2px 0 8px}
.verdict ul{margin:6px 0;padding-left:20px}
.stamp{border:2px solid var(--bad);color:var(--bad);background:var(--bad-bg);border-radius:8px;padding:8px 14px;margin:14px 0;font-weight:600}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:10px 2px;font-size:13px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(215px,1fr));gap:10px;margin:14px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:22px;line-height:1.25;font-weight:650}
.tile span{display:block;font-size:13px;color:var(--muted);text-wrap:balance}
.tile .name{color:var(--text);font-weight:600}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:var(--muted);border-bottom:1px solid var(--line);padding:5px 8px;vertical-align:bottom}
td{border-bottom:1px solid var(--line);padding:6px 8px;vertical-align:top;text-wrap:balance}
tbody tr:last-child td{border-bottom:0}
.n{text-align:right;white-space:nowrap}
.nowrap{white-space:nowrap}
.name-cell{overflow-wrap:anywhere;min-width:90px}
td.heat-1{background:rgba(var(--heat),.08)}td.heat-2{background:rgba(var(--heat),.16)}td.heat-3{background:rgba(var(--heat),.27)}
td.heat-4{background:rgba(var(--heat),.4)}td.heat-5{background:rgba(var(--heat),.55)}
.chip{display:inline-block;border-radius:999px;padding:1px 10px;font-size:12.5px;font-weight:650;white-space:nowrap;color:var(--off);background:var(--off-bg)}
.chip.green,.chip.equal,.chip.better,.chip.same{color:var(--good);background:var(--good-bg)}
.chip.red,.chip.different,.chip.worse,.chip.persistent,.chip.violation,.chip.unchecked{color:var(--bad);background:var(--bad-bg)}
.chip.unknown,.chip.open,.chip.indeterminate{color:var(--unknown);background:var(--unknown-bg)}
.plot{display:block;width:100%;height:auto;margin:8px 0 2px;overflow:visible}
.plot text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--muted)}
.plot .label{fill:var(--text)}
.grid{stroke:var(--line);fill:none}.grid.minor{stroke-opacity:.5}
.base{stroke:var(--muted);fill:none}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.line.look-1{stroke:var(--c1)}.line.look-2{stroke:var(--c2);stroke-dasharray:7 3}.line.look-3{stroke:var(--c3);stroke-dasharray:2 3}.line.look-4{stroke:var(--c4);stroke-dasharray:9 3 2 3}
.dot.look-1,.bar.look-1{fill:var(--c1)}.dot.look-2,.bar.look-2{fill:var(--c2)}.dot.look-3,.bar.look-3{fill:var(--c3)}.dot.look-4,.bar.look-4{fill:var(--c4)}
.band{stroke:none;fill-opacity:.15}.band.look-1,.fill.look-1{fill:var(--c1)}.band.look-2{fill:var(--c2)}.band.look-3,.fill.look-3{fill:var(--c3)}.band.look-4{fill:var(--c4)}
.fill{fill-opacity:.45}
.bar.transient,.swatch.transient{fill:#d9a21b;background:#d9a21b}.bar.persistent,.swatch.persistent{fill:#c02626;background:#c02626}
.limit{stroke:var(--bad);stroke-width:1.4;stroke-dasharray:5 4;fill:none}
.plot .mark{fill:var(--bad)}
.mark-line{stroke:var(--text);stroke-width:1.2;stroke-dasharray:4 3;fill:none}
.mark-dot{fill:var(--text)}.plot .mark-number{fill:var(--card);font-weight:700;font-size:11px}
.phase{fill:var(--soft);stroke:var(--line)}.phase-shadow{fill:rgba(29,95,209,.2)}.phase-local-reads{fill:rgba(15,118,110,.25)}.phase-dual{fill:rgba(124,58,237,.18)}.phase-cutover,.phase-final{fill:rgba(22,101,52,.25)}
.plot .phases text{fill:var(--text)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;margin:2px 0 6px;padding:0;font-size:13px}
.legend svg{width:28px;height:10px;margin-right:6px;vertical-align:middle}
.swatch{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px}
ol.marks{font-size:13px;margin:6px 0;padding-left:26px}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:8px 28px}
details.sample{border-top:1px solid var(--line)}
details.sample>summary{cursor:pointer;padding:6px 2px;font-size:13.5px;display:flex;flex-wrap:wrap;gap:2px 12px;align-items:baseline}
details.sample>summary::before{content:"+";color:var(--muted);width:10px;font-weight:700}
details.sample[open]>summary::before{content:"\\2212"}
details.sample table{margin:2px 0 12px 22px;width:auto;min-width:60%}
td.differs{background:rgba(var(--heat),.16)}
.tools{display:none;gap:10px;flex-wrap:wrap;margin:8px 0}
.js .tools{display:flex}
.tools input{font:inherit;font-size:13.5px;padding:5px 9px;border:1px solid var(--line);border-radius:7px;background:var(--bg);color:var(--text);min-width:240px}
.tools select{font:inherit;font-size:13.5px;padding:5px 9px;border:1px solid var(--line);border-radius:7px;background:var(--bg);color:var(--text)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:8px 0;font-size:13.5px}
dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}
[hidden]{display:none!important}
footer{color:var(--muted);font-size:13px;margin-top:24px}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--text:#000;--muted:#444;--line:#bbb}
body{font-size:11pt}main{max-width:none;padding:0}nav,.tools{display:none!important}section,.verdict{border-radius:0;padding:10px 12px;margin:8px 0}
section{break-inside:auto}h2,h3{break-after:avoid}tr,.plot,.tile,details{break-inside:avoid}.scroll{overflow:visible}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
`;
