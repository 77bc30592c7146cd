using System.Net;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Writes what a run found as one page that needs nothing else.</summary>
internal static class VerifyPage
{
    private const string Head = """
        <!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>mqtt5 verify</title>
        <style>
        :root{color-scheme:light dark;--line:#8884;--good:#187a3c;--bad:#c02b2b;--quiet:#777}
        @media(prefers-color-scheme:dark){:root{--good:#5ac87f;--bad:#ff7b72;--quiet:#999}}
        body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
        h1{font-size:1.4rem} .bar{position:sticky;top:0;background:Canvas;padding:.6rem 0;border-bottom:1px solid var(--line)}
        .bar label{margin-right:1rem} input[type=search]{padding:.3rem .5rem;width:18rem}
        details{border-bottom:1px solid var(--line);padding:.35rem 0} summary{cursor:pointer;display:grid;grid-template-columns:9rem 8.5rem 1fr;gap:.6rem}
        .pass{color:var(--good)} .fail{color:var(--bad);font-weight:600} .not-applicable,.not-run{color:var(--quiet)}
        table{border-collapse:collapse;font:13px ui-monospace,monospace;width:100%;margin:.5rem 0} td,th{padding:.15rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
        td.at{color:var(--quiet);white-space:nowrap;width:5rem} td.who{width:3rem} td.arrow{width:4.5rem;white-space:nowrap} tr.received td.arrow{color:var(--good)} tr.closing td{color:var(--quiet)}
        .seen{border-left:3px solid var(--bad);padding-left:.7rem;margin:.5rem 0;overflow-wrap:anywhere}
        </style>
        """;

    private const string Script = """
        <script>
        const search=document.querySelector('input[type=search]'),boxes=[...document.querySelectorAll('input[type=checkbox]')];
        function filter(){const text=search.value.toLowerCase(),shown=boxes.filter(b=>b.checked).map(b=>b.value);
        for(const d of document.querySelectorAll('details'))d.hidden=!shown.includes(d.dataset.verdict)||!d.textContent.toLowerCase().includes(text)}
        search.oninput=filter;boxes.forEach(b=>b.onchange=filter);
        </script>
        """;

    /// <summary>The page.</summary>
    public static string Write(VerifyReport report)
    {
        var page = new StringBuilder(Head);
        page.Append($"<h1>MQTT 5 conformance of {Text(report.Server)}</h1><p>{Text(report.Summary)}{(report.IsOfClient ? "" : $" Seed {report.Seed}.")}</p>");

        if (report.HostileFrames > 0)
            page.Append($"<p>{report.HostileFrames} hostile frames: {(report.Hostile is null ? "a client beside them was served" : Text(report.Hostile))}.</p>");

        page.Append("<div class=bar><label><input type=search placeholder='Filter by text' aria-label='Filter by text'></label>");

        foreach (var verdict in Enum.GetValues<Verdict>())
            page.Append($"<label><input type=checkbox checked value='{Class(verdict)}'> {VerifyReport.Name(verdict)} ({report.Count(verdict)})</label>");

        page.Append("</div>");

        foreach (var clause in report.Clauses)
            Write(page, clause);

        return page.Append(Script).Append("</html>\n").ToString();
    }

    private static void Write(StringBuilder page, ClauseResult clause)
    {
        page.Append($"<details data-verdict='{Class(clause.Verdict)}'><summary><code>{clause.Statement.Id}</code>")
            .Append($"<span class='{Class(clause.Verdict)}'>{VerifyReport.Name(clause.Verdict)}</span><span>{Text(clause.Statement.Text)}</span></summary>")
            .Append($"<p>{Text(clause.Statement.Section)}. {Text(clause.Reason)}</p>");

        foreach (var probe in clause.Probes)
        {
            page.Append($"<p><span class='{Class(probe.Outcome.Verdict)}'>{VerifyReport.Name(probe.Outcome.Verdict)}</span> {Text(probe.Probe.Title)}</p>");

            if (probe.Outcome.Verdict == Verdict.Fail)
                Write(page, probe);
        }

        page.Append("</details>\n");
    }

    private static void Write(StringBuilder page, ProbeResult probe)
    {
        page.Append("<table><tr><th>ms<th>client<th><th>packet</tr>");

        foreach (var exchange in probe.Exchanges)
        {
            var (name, arrow) = exchange.Kind switch
            {
                ExchangeKind.Opening => ("closing", "opens"),
                ExchangeKind.Sending => ("sent", "───▶"),
                ExchangeKind.Receiving => ("received", "◀───"),
                ExchangeKind.Closing => ("closing", "◀── ✕"),
                _ => ("closing", "✕ ──▶"),
            };
            page.Append($"<tr class={name}><td class=at>{exchange.At}<td class=who>{Text(exchange.Client)}<td class=arrow>{arrow}<td>{Text(exchange.Text)}</tr>");
        }

        page.Append($"</table><div class=seen>in the step <code>{Text(probe.Outcome.Line)}</code><br>expected: {Text(probe.Outcome.Expected)}<br>seen: {Text(probe.Outcome.Seen)}</div>");
    }

    private static string Class(Verdict verdict) => VerifyReport.Name(verdict).Replace(' ', '-');

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
