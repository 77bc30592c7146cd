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
