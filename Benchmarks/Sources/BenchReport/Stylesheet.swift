/// How the report looks, by day and by night.
enum Stylesheet {
    static let text = """
        :root { color-scheme: light dark; --page: #fbfbfa; --ink: #1d2127; --soft: #5d6673;
          --line: #dfe2e6; --card: #ffffff; --ours: #1f5fd0; --baseline: #7b8593; --peer: #13816f;
          --recorded: #b26a00; }
        @media (prefers-color-scheme: dark) { :root { --page: #14171b; --ink: #e6e8eb; --soft: #9aa4b1;
          --line: #2e343c; --card: #1b1f25; --ours: #6ea3ff; --baseline: #8b96a5; --peer: #3fbfa8;
          --recorded: #e2a13c; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 900px; padding: 24px 16px 64px; background: var(--page);
          color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 40px 0 4px; }
        h3 { font-size: 15px; margin: 20px 0 6px; } h4 { font-size: 13px; font-weight: 500;
          color: var(--soft); margin: 10px 0 2px; }
        p { margin: 4px 0 12px; color: var(--soft); max-width: 70ch; }
        section.task { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
          padding: 2px 16px 12px; margin: 12px 0; }
        .scroll { overflow-x: auto; }
        svg { display: block; width: 100%; min-width: 560px; height: auto; }
        svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
        svg .name { text-anchor: end; } svg .value { font-variant-numeric: tabular-nums; }
        svg .tick { fill: var(--soft); font-size: 10px; text-anchor: middle; }
        svg .grid { stroke: var(--line); stroke-width: 1; }
        .ours rect { fill: var(--ours); } .baseline rect { fill: var(--baseline); }
        .peer rect { fill: var(--peer); }
        .recorded rect { fill: url(#hatch); stroke: var(--recorded); stroke-width: 1; }
        svg .ours .name { font-weight: 700; }
        table { border-collapse: collapse; width: 100%; font-size: 13px;
          font-variant-numeric: tabular-nums; }
        th, td { padding: 4px 10px 4px 0; text-align: left; border-bottom: 1px solid var(--line);
          vertical-align: top; }
        tbody th, td { white-space: nowrap; } td:nth-last-child(-n+2) { white-space: normal; }
        thead th { color: var(--soft); font-weight: 500; } tbody th { font-weight: 400; }
        tr.ours th { font-weight: 700; } tr.recorded { color: var(--recorded); }
        summary { cursor: pointer; color: var(--soft); font-size: 13px; margin-top: 8px; }
        ul.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 20px;
          font-size: 13px; }
        ul.legend svg { display: inline-block; width: 26px; min-width: 0; height: 12px; margin-right: 6px;
          vertical-align: -1px; }
        """
}
