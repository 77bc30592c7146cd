namespace Mqtt5;

/// <summary>A shared subscription: the members of one filter with one ShareName, each message of which goes to one.</summary>
public sealed class MqttSharedGroupInfo
{
    /// <summary>The whole Topic Filter, with <c>$share/{ShareName}/</c>.</summary>
    public required string Filter { get; init; }

    /// <summary>The ShareName.</summary>
    public required string ShareName { get; init; }

    /// <summary>How many members it has.</summary>
    public required int MemberCount { get; init; }

    /// <summary>The Client Identifiers of the members, in the order in which they joined; the first 1,000.</summary>
    public required IReadOnlyList<string> Members { get; init; }
}
