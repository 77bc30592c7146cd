using System.Net;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Writes what a run found as one page that needs nothing else.</summary>
internal static class VerifyPage
{
    private const string Head = """
        <!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>mqtt5 verify</title>
        <style>
        :root{color-scheme:light dark;--line:#8885;--soft:#8881;--good:#1a7f3c;--bad:#c02b2b;--quiet:#667;--sent:#0b62c4}
        @media(prefers-color-scheme:dark){:root{--good:#5ac87f;--bad:#ff7b72;--quiet:#99a;--sent:#79b8ff}}
        *{box-sizing:border-box} body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:1.5rem auto;padding:0 1rem;overflow-wrap:anywhere}
        h1{font-size:1.35rem;margin:.2rem 0} code,.chart{font-family:ui-monospace,monospace;font-size:.87em}
        .share{display:flex;height:.6rem;border-radius:.3rem;overflow:hidden;margin:.6rem 0;background:var(--soft)} .share i{display:block}
        .share .pass{background:var(--good)} .share .fail{background:var(--bad)} .share .not-applicable,.share .not-run{background:var(--line)}
        .bar{position:sticky;top:0;z-index:1;background:Canvas;padding:.6rem 0;border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:center}
        .bar input[type=search]{font:inherit;padding:.25rem .5rem;width:min(20rem,100%)} .bar label{white-space:nowrap} #shown{color:var(--quiet);margin-left:auto}
        .clause{border-bottom:1px solid var(--line);padding:.35rem 0;scroll-margin-top:4rem} .clause>summary{cursor:pointer;display:grid;grid-template-columns:8.5rem 7.5rem 1fr;gap:.1rem .6rem}
        .why{grid-column:3;color:var(--quiet);font-size:.92em} .pass{color:var(--good)} .fail{color:var(--bad);font-weight:600} .not-applicable,.not-run{color:var(--quiet)}
        .inside{padding:.2rem 0 .6rem 1rem;border-left:3px solid var(--soft);margin:.4rem 0} .inside p{margin:.3rem 0} .probe{margin:.3rem 0} .probe>summary{cursor:pointer}
        .chart{border-collapse:collapse;width:100%;margin:.6rem 0;table-layout:fixed} .chart th{font-weight:600;text-align:left;padding:.1rem 0 .3rem} .chart th+th{transform:translateX(-.3em)} .chart th.server{text-align:right;transform:none;white-space:nowrap;direction:rtl}
        .chart td{padding:0;vertical-align:bottom} .chart .at{width:4.2rem;color:var(--quiet);font-size:.9em;padding:.15rem .5rem 0 0;text-align:right} .chart .lane{width:3.4rem} .chart td.life{border-left:2px solid var(--line)}
        .chart td:last-child{border-right:2px solid var(--line)} .hop{position:relative;padding:.15rem 1rem .45rem .8rem} .hop::after{content:"";position:absolute;left:0;right:0;bottom:.2rem;border-bottom:1.5px solid}
        .hop::before{content:"";position:absolute;bottom:calc(.2rem - 3.5px);border:4px solid transparent} .sent .hop::before,.left .hop::before{right:0;border-left:8px solid;border-right:0}
        .received .hop::before,.closed .hop::before{left:0;border-right:8px solid;border-left:0} .sent{color:var(--sent)} .received{color:inherit} .opened,.left,.closed{color:var(--quiet)} .opened .hop::after,.left .hop::after,.closed .hop::after{border-bottom-style:dashed}
        .opened .hop::before{right:0;border-left:8px solid;border-right:0} .seen{border-left:4px solid var(--bad);background:var(--soft);padding:.4rem .8rem;margin:.5rem 0}
        @media(max-width:44rem){.clause>summary{grid-template-columns:1fr auto} .clause>summary>span:nth-child(3),.why{grid-column:1/-1} .inside{padding-left:.5rem} .chart .lane{width:1.3rem} .chart .at{width:3rem} #shown{margin-left:0}}
        @media print{.bar{display:none}}
        </style>
        """;

    private const string Script = """
        <script>
        const search=document.querySelector('input[type=search]'),boxes=[...document.querySelectorAll('.bar input[type=checkbox]')],all=[...document.querySelectorAll('.clause')],shown=document.querySelector('#shown');
        const texts=new Map(all.map(d=>[d,d.textContent.toLowerCase()]));
        function filter(){const words=search.value.toLowerCase().split(/\s+/),verdicts=boxes.filter(b=>b.checked).map(b=>b.value);let count=0;
        for(const d of all){d.hidden=!verdicts.includes(d.dataset.verdict)||!words.every(w=>texts.get(d).includes(w));count+=!d.hidden}
        shown.textContent=count+' of '+all.length+' statements'}
        function open(){const d=document.getElementById(location.hash.slice(1));if(d){d.open=true;d.scrollIntoView()}}
        search.oninput=filter;boxes.forEach(b=>b.onchange=filter);addEventListener('hashchange',open);filter();open();
        </script>
        """;

    /// <summary>The page.</summary>
    public static string Write(VerifyReport report)
    {
        var page = new StringBuilder(Head);
        page.Append($"<h1>{Text(Spec.version(report.Version).Name)} conformance of {Text(report.Server)}</h1><p>{Text(report.Summary)}{(report.IsOfClient ? "" : $" Seed {report.Seed}.")}");

        if (report.HostileFrames > 0)
            page.Append($" {report.HostileFrames} hostile frames: {(report.Hostile is null ? "a client beside them was served." : $"<span class=fail>{Text(report.Hostile)}</span>")}");

        if (report.Random.Sessions > 0)
            page.Append($" <span{(report.Random.Failed > 0 ? " class=fail" : "")}>{Text(report.Random.Summary)}</span>");

        page.Append("</p>");

        foreach (var failure in report.Random.Failures)
            WriteProbe(page, failure.Result, failure.Script);

        page.Append("<div class=share aria-hidden=true>");

        foreach (var verdict in Enum.GetValues<Verdict>())
            page.Append($"<i class={Class(verdict)} style='flex:{report.Count(verdict)}'></i>");

        page.Append("</div><div class=bar><input type=search placeholder='Filter by number or words' aria-label='Filter by number or words'>");

        foreach (var verdict in Enum.GetValues<Verdict>())
            page.Append($"<label><input type=checkbox checked value='{Class(verdict)}'> {VerifyReport.Name(verdict)} ({report.Count(verdict)})</label>");

        page.Append("<span id=shown></span></div>");

        foreach (var clause in report.Clauses)
            Write(page, clause);

        return page.Append(Script).Append("</html>\n").ToString();
    }

    private static void Write(StringBuilder page, ClauseResult clause)
    {
        page.Append($"<details class=clause id='{clause.Statement.Id}' data-verdict='{Class(clause.Verdict)}'><summary><code>{clause.Statement.Id}</code>")
            .Append($"<span class='{Class(clause.Verdict)}'>{VerifyReport.Name(clause.Verdict)}</span><span>{Text(clause.Statement.Text)}</span>");

        if (clause.Reason.Length > 0)
            page.Append($"<span class=why>{Text(clause.Reason)}</span>");

        page.Append($"</summary><div class=inside><p>{Text(clause.Statement.Section)}</p>");

        foreach (var probe in clause.Probes)
            WriteProbe(page, probe, null);

        page.Append("</div></details>\n");
    }

    private static void WriteProbe(StringBuilder page, ProbeResult probe, RandomisedScript? script)
    {
        var isOpen = probe.Outcome.Verdict == Verdict.Fail ? " open" : "";
        page.Append($"<details class=probe{isOpen}><summary><span class='{Class(probe.Outcome.Verdict)}'>{VerifyReport.Name(probe.Outcome.Verdict)}</span> {Text(probe.Probe.Title)}</summary>");

        if (script is not null)
            page.Append($"<pre>{Text(script.ToString())}</pre>");

        WriteChart(page, probe);
        WriteOutcome(page, probe.Outcome);
        page.Append("</details>");
    }

    // A lifeline for each client and, on the right, one for the server. What happens goes from the line of a client to that
    // of the server, over the lines between.
    private static void WriteChart(StringBuilder page, ProbeResult probe)
    {
        if (probe.Exchanges.Count == 0)
            return;

        var clients = probe.Exchanges.Select(one => one.Client).Distinct().ToArray();
        page.Append("<table class=chart><tr><th class=at>ms");

        for (var index = 0; index < clients.Length; index++)
            page.Append(index < clients.Length - 1 ? $"<th class=lane>{Text(clients[index])}" : $"<th>{Text(clients[index])}<th class='server lane'>server");

        page.Append("</tr>");

        foreach (var exchange in probe.Exchanges)
        {
            var (name, text) = exchange.Kind switch
            {
                ExchangeKind.Opening => ("opened", "opens a connection"),
                ExchangeKind.Sending => ("sent", exchange.Text),
                ExchangeKind.Receiving => ("received", exchange.Text),
                ExchangeKind.Closing => ("closed", "closes the connection"),
                _ => ("left", "leaves"),
            };
            var lane = Array.IndexOf(clients, exchange.Client);
            page.Append($"<tr class={name}><td class=at>{exchange.At}");

            for (var index = 0; index < lane; index++)
                page.Append("<td class=life>");

            page.Append($"<td class=life colspan={clients.Length - lane + 1}><div class=hop>{Text(text)}</div></tr>");
        }

        page.Append("</table>");
    }

    private static void WriteOutcome(StringBuilder page, ProbeOutcome outcome)
    {
        if (outcome.Verdict == Verdict.Fail)
            page.Append($"<div class=seen>in the step <code>{Text(outcome.Line)}</code><br>expected: <code>{Text(outcome.Expected)}</code><br>seen: <code>{Text(outcome.Seen)}</code></div>");
        else if (outcome.Expected.Length > 0)
            page.Append($"<p>{Text(outcome.Expected)}</p>");
    }

    private static string Class(Verdict verdict) => VerifyReport.Name(verdict).Replace(' ', '-');

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
