using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mqtt5.Cli;

/// <summary>What was measured, for programs. Times are in nanoseconds where the name says nothing else.</summary>
internal static class BenchJson
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>A load.</summary>
    public static string Of(LoadReport report, Target target) =>
        new JsonObject
        {
            ["server"] = target.Server.ToString(),
            ["publishers"] = report.Request.Publishers,
            ["subscribers"] = report.Request.Subscribers,
            ["spread"] = report.Request.Spread.ToString().ToLowerInvariant(),
            ["qos"] = (int)report.Request.QoS,
            ["payloadBytes"] = report.Request.PayloadBytes,
            ["rate"] = report.Request.Rate,
            ["window"] = report.Request.Window,
            ["warmUpSeconds"] = report.Request.WarmUp.TotalSeconds,
            ["seconds"] = report.Duration.TotalSeconds,
            ["sent"] = report.Sent,
            ["sentPerSecond"] = Math.Round(report.SentPerSecond, 1),
            ["expected"] = report.Expected,
            ["received"] = report.Received,
            ["receivedPerSecond"] = Math.Round(report.ReceivedPerSecond, 1),
            ["lost"] = report.Lost,
            ["acknowledgedAfter"] = Of(report.Acknowledged),
            ["deliveredAfter"] = Of(report.Delivered),
            ["failures"] = new JsonArray([.. report.Failures.Select(failure => JsonValue.Create(failure))]),
        }.ToJsonString(Indented);

    /// <summary>A storm.</summary>
    public static string Of(StormReport report, Target target) =>
        new JsonObject
        {
            ["server"] = target.Server.ToString(),
            ["connections"] = report.Request.Connections,
            ["concurrency"] = report.Request.Concurrency,
            ["rate"] = report.Request.Rate,
            ["seconds"] = report.Duration.TotalSeconds,
            ["connected"] = report.Connected.Count,
            ["connectedPerSecond"] = Math.Round(report.PerSecond, 1),
            ["connectedAfter"] = Of(report.Connected),
            ["failures"] = new JsonObject(report.Failures.Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, pair.Value))),
        }.ToJsonString(Indented);

    // Null where nothing was recorded.
    private static JsonObject? Of(LatencyHistogram histogram)
    {
        if (histogram.Count == 0)
            return null;

        var json = new JsonObject { ["count"] = histogram.Count, ["mean"] = Math.Round(histogram.Mean) };

        foreach (var (name, percent) in BenchText.Percentiles)
            json[name] = histogram.Percentile(percent);

        return json;
    }
}
