namespace Mqtt5.Admin;

// What the API takes and gives, beside the classes of the inspection.
internal sealed record AdminPage<T>(IReadOnlyList<T> Items, string? Next);

internal sealed record AdminList<T>(IReadOnlyList<T> Items);

internal sealed record PublishRequest
{
    public string? Topic { get; init; }

    // The payload as text, or ...
    public string? Payload { get; init; }

    // ... in base64.
    public string? PayloadBase64 { get; init; }

    public int Qos { get; init; }

    public bool Retain { get; init; }

    public string? ContentType { get; init; }

    public long? ExpirySeconds { get; init; }
}

internal sealed record PublishAnswer(string Code, string Reason);

internal sealed record LimitsAnswer(IReadOnlyDictionary<string, long> Exceeded, IReadOnlyDictionary<string, long> Refused);

internal sealed record HealthAnswer(string Status, string? Detail);

internal sealed record LoginRequest
{
    public string? Token { get; init; }
}

internal sealed record ProblemAnswer(string Type, string Title, int Status, string Detail, string? Where);

// Who asks: a name for people, the greatest of the roles, and whether it signed in here, so that it can sign out.
internal sealed record MeAnswer(string Name, string Role, bool CanSignOut);

internal sealed record HistoryAnswer
{
    public required int IntervalSeconds { get; init; }

    // A sample for each interval, the newest last.
    public required long[] Connections { get; init; }

    public required long[] Subscriptions { get; init; }

    public required long[] Retained { get; init; }

    public required long[] Queued { get; init; }

    public required double[] ReceivedPerSecond { get; init; }

    public required double[] SentPerSecond { get; init; }

    public required double[] DroppedPerSecond { get; init; }

    // By name, in the last hour.
    public required IReadOnlyDictionary<string, long> LimitsExceeded { get; init; }
}

// The last message of each topic in an interval; Missed: messages of topics beyond the most in one.
internal sealed record LiveAnswer(IReadOnlyList<LiveMessage> Messages, long Missed);

internal sealed record LiveMessage(string Topic, long Count, int Qos, bool Retain, int PayloadBytes, byte[] Payload);

internal sealed record ReloadAnswer(string Detail);

internal sealed record RemovedAnswer(int Removed, bool IsComplete);
