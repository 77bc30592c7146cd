namespace Mqtt5.Cli;

/// <summary>The names that the command has for what the client calls otherwise.</summary>
internal static class ClientOptionNames
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["KeepAlive"] = "-k",
        ["ReceiveMaximum"] = "-D connect receive-maximum",
        ["MaximumPacketSize"] = "--max-packet-bytes",
        ["TopicAliasMaximum"] = "-D connect topic-alias-maximum",
        ["SessionExpiry"] = "-x",
        ["Password"] = "--pw",
        ["UserName"] = "--username",
    };

    /// <summary>What the client does not take, with the option that says it.</summary>
    public static string Describe(ArgumentException exception)
    {
        var message = TextArgument.WithoutParameter(exception);
        return exception.ParamName is { } parameter && Names.TryGetValue(parameter.Split('.')[^1], out var option) ? $"{option}: {message}" : message;
    }
}
