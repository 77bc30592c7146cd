using System.Diagnostics.Metrics;
using Mqtt5.HttpHook.Requests;

namespace Mqtt5.HttpHook.Observability;

// The instruments of the package's own meter. No tag is a client or a topic.
internal static class HookTelemetry
{
    private static readonly Meter Meter = new(MqttHttpHookExtensions.MeterName);

    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "mqtt5.http_hook.request.duration", "s", "How long a question took, by mqtt5.subject and mqtt5.result.");

    private static readonly Counter<long> CachedCount = Meter.CreateCounter<long>(
        "mqtt5.http_hook.cached", "{answer}", "Questions whose answer was known, by mqtt5.subject.");

    public static void Asked(HookSubject subject, HookAnswer? answer, TimeSpan duration) =>
        Duration.Record(
            duration.TotalSeconds,
            Tag(subject),
            new("mqtt5.result", answer is null ? "none" : answer.IsAllowed ? "allowed" : "denied"));

    public static void Cached(HookSubject subject) => CachedCount.Add(1, Tag(subject));

    private static KeyValuePair<string, object?> Tag(HookSubject subject) =>
        new("mqtt5.subject", subject is HookSubject.Authentication ? "authentication" : "authorization");
}
